"""Preview of the DeepFake Detection Challenge (arXiv 1910.08854).

    dataset.json       {"method_A/.../name.mp4": {"label": "fake", "set": "train"}, ...}
    original_videos/...  method_A/...  method_B/...

Both methods swap faces.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import Published
from dfray.datasets.readers.lists import read_json
from dfray.datasets.readers.rows import VideoRow, label_of, video_row
from dfray.errors import ManifestError

SPLIT_OF = {"train": "train", "validation": "val", "val": "val", "test": "test"}
LABEL_OF = {"original_videos": 0, "method_A": 1, "method_B": 1}
PUBLISHED = Published("arXiv 1910.08854", real=1131, fake=4119)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "dfdc-preview"
    uri = files.uri("dataset.json")
    labels = Labels()
    for path, entry in read_json(uri, "It comes with the DFDC preview; put it there.").items():
        folder, _, name = path.partition("/")
        if folder not in LABEL_OF or entry.get("set") not in SPLIT_OF:
            raise ManifestError(f"{uri}: {path} has an unknown folder or set {entry.get('set')!r}.")
        labels.add(path, LABEL_OF[folder], f"folder {folder}")
        labels.add(path, label_of(str(entry.get("label")), f"{uri}: {path}"), "dataset.json")
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=folder,
            stem=os.path.splitext(name)[0],
            split=SPLIT_OF[entry["set"]],
            category="FS" if labels[path] else "real",
            licence="DFDC terms of use",
        )
