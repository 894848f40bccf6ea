"""Messages between `dfray.faces.supervise` and its child process `dfray.faces.child`.

The child first receives the FacesSection, and answers Ready or Failed. Then it receives one Task after the
other, and answers each with StreamRead, FrameFound and Alive messages and, at the end, one SourceDone. Of a
PartialVideo it asks for ranges by RangesNeeded; of a LocalVideo it sends ContentRead.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

from dfray.errors import DfrayError, StorageError
from dfray.faces.properties import StreamProperties
from dfray.faces.sources import LocalVideo, PartialVideo, Source
from dfray.faces.video import Frame
from dfray.storage import Range


@dataclass(frozen=True)
class Ready:
    """The detector is loaded."""


@dataclass(frozen=True)
class Failed:
    """The detector cannot be loaded."""

    error: DfrayError


@dataclass(frozen=True)
class Task:
    """A source to extract, from one of its sampled frames on.

    Attributes:
        thumbnail_px: as in `VideoExtractor.extract`.
    """

    source: Source | PartialVideo | LocalVideo
    first_frame: int
    thumbnail_px: int | None = None


@dataclass(frozen=True)
class ContentRead:
    """The digest of the task's LocalVideo, before its first frame.

    Attributes:
        digest: None if it cannot be read.
        cpu_s: CPU seconds of the child on the task so far.
    """

    digest: str | None
    cpu_s: float


@dataclass(frozen=True)
class FrameFound:
    """A sampled frame of the task.

    Attributes:
        cpu_s: CPU seconds of the child on the task so far.
    """

    frame: Frame
    cpu_s: float


@dataclass(frozen=True)
class StreamRead:
    """Properties of the task's video, as far as they are known.

    Attributes:
        cpu_s: CPU seconds of the child on the task so far.
    """

    properties: StreamProperties
    cpu_s: float


@dataclass(frozen=True)
class RangesNeeded:
    """Ranges of the task's PartialVideo that the child waits for; the answer is RangesCopied.

    Attributes:
        cpu_s: CPU seconds of the child on the task so far.
    """

    ranges: list[Range]
    cpu_s: float


@dataclass(frozen=True)
class RangesCopied:
    """The answer to RangesNeeded.

    Attributes:
        error: why they could not be copied, if so.
    """

    error: StorageError | None


@dataclass(frozen=True)
class Alive:
    """A sign that packets or pictures are being read; sent at most once a second.

    Attributes:
        cpu_s: CPU seconds of the child on the task so far.
    """

    cpu_s: float


@dataclass(frozen=True)
class SourceDone:
    """The end of a task.

    Attributes:
        reason: why the source could not be read, if it could not.
        cpu_s: CPU seconds of the child on the task.
    """

    reason: str | None
    cpu_s: float


_OURS = ("dfray.errors", "dfray.faces.messages", "dfray.faces.properties", "dfray.faces.video")
_OF_ARRAYS = ("_frombuffer", "_reconstruct", "dtype", "ndarray", "scalar")
"""Names of numpy that pickled arrays and numbers refer to."""


class _Reader(pickle.Unpickler):
    """Unpickler of what a child sends, which may have been taken over: it knows messages and arrays only."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in _OF_ARRAYS:
            return super().find_class(module, name)
        if module in _OURS and "." not in name:
            kind = super().find_class(module, name)
            if isinstance(kind, type) and kind.__module__ == module:
                return kind
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a message")


def read_message(data: bytes) -> Any:
    """Return a message of the child.

    Raises:
        UnpicklingError: it holds something else than messages do.
    """
    return _Reader(io.BytesIO(data)).load()


Answer = ContentRead | FrameFound | StreamRead | RangesNeeded | Alive | SourceDone
