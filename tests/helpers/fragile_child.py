"""A child for SupervisedExtractor that crashes and hangs for real, on pictures named in a file.

A file `clip.mp4.abort` (or .hang, .exit) beside `clip.mp4` lists the frames that set it off, one on a
line; each line is good for one time, so that a frame listed once fails once. With a `clip.mp4.slow`
every packet takes a tenth of a second, with a `clip.mp4.large` a gigabyte is asked for, and a
`clip.mp4.stuck` lies on a mount that hangs when it is looked at. Any other video is extracted as always.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dfray.faces import sources
from dfray.faces.child import main
from dfray.faces.properties import OnStream
from dfray.faces.sources import Source, VideoFile
from dfray.faces.video import Frame, VideoExtractor

_content_digest = sources.content_digest


class FragileExtractor(VideoExtractor):
    def extract(
        self,
        source: Source,
        first_frame: int = 0,
        on_picture: Callable[[], None] = lambda: None,
        on_stream: OnStream = lambda _: None,
        thumbnail_px: int | None = None,
    ) -> Iterator[Frame]:
        if not isinstance(source, VideoFile):
            yield from super().extract(source, first_frame, on_picture, on_stream, thumbnail_px)
            return
        path = source.path
        if Path(f"{path}.large").exists():
            np.ones(2**30, np.uint8)

        def slowly() -> None:
            time.sleep(0.1)
            on_picture()

        sign = slowly if Path(f"{path}.slow").exists() else on_picture
        for frame in super().extract(source, first_frame, sign, on_stream, thumbnail_px):
            if _is_due(f"{path}.abort", frame.frame_index):
                print("free(): invalid pointer", file=sys.stderr, flush=True)
                os.abort()
            if _is_due(f"{path}.hang", frame.frame_index):
                time.sleep(3600)
            if _is_due(f"{path}.exit", frame.frame_index):
                os._exit(3)
            yield frame


def _look_at(uri: str, kind: str) -> str | None:
    if Path(f"{uri}.stuck").exists():
        time.sleep(3600)
    return _content_digest(uri, kind)


def _is_due(list_path: str, frame_index: int) -> bool:
    path = Path(list_path)
    lines = path.read_text().split() if path.exists() else []
    if str(frame_index) not in lines:
        return False
    lines.remove(str(frame_index))
    path.write_text("\n".join(lines))
    return True


if __name__ == "__main__":
    sources.content_digest = _look_at
    main(FragileExtractor)
