"""Preview of the DeepFake Detection Challenge (arXiv 1910.08854).

    dataset.json       {"method_A/.../name.mp4": {"label": "fake", "set": "train"}, ...}
    original_videos/...  method_A/...  method_B/...

Both methods swap faces. 643755_1224068_A_001 is person 643755, recording A, with the face of 1224068. Where
the list says so too (target_id, source_video), it counts before the name. A person who is in more than one
set has no identity, since the manifest would refuse the corpus.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import Published
from dfray.datasets.readers.lists import read_json
from dfray.datasets.readers.rows import Remark, VideoRow, label_of, video_row
from dfray.errors import ManifestError

SPLIT_OF = {"train": "train", "validation": "val", "val": "val", "test": "test"}
LABEL_OF = {"original_videos": 0, "method_A": 1, "method_B": 1}
PUBLISHED = Published("arXiv 1910.08854", real=1131, fake=4119)
CROSSING = "the person is in more than one set, so the row has no identity"
_NAME = re.compile(r"(\d+)_(?:\d+_)?([A-Z])_(\d+)")
"""Person, recording and clip of a video's name."""


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | Remark]:
    dataset = corpus.dataset or "dfdc-preview"
    uri = files.uri("dataset.json")
    entries = read_json(uri, "It comes with the DFDC preview; put it there.")
    labels, splits = Labels(), defaultdict(set)
    for path, entry in entries.items():
        folder = path.partition("/")[0]
        if folder not in LABEL_OF or entry.get("set") not in SPLIT_OF:
            raise ManifestError(f"{uri}: {path} has an unknown folder or set {entry.get('set')!r}.")
        splits[_person(path, entry)].add(SPLIT_OF[entry["set"]])
    crossing = {name for name, in_splits in splits.items() if name and len(in_splits) > 1}
    originals = {_stem(path): path for path in entries if path.startswith("original_videos/")}
    for path, entry in entries.items():
        folder, _, name = path.partition("/")
        labels.add(path, LABEL_OF[folder], f"folder {folder}")
        labels.add(path, label_of(str(entry.get("label")), f"{uri}: {path}"), "dataset.json")
        person = _person(path, entry)
        if person in crossing:
            yield Remark(dataset, CROSSING)
        source = _source(path, entry, originals) if labels[path] else None
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=folder,
            stem=os.path.splitext(name)[0],
            split=SPLIT_OF[entry["set"]],
            category="FS" if labels[path] else "real",
            source_video=source and f"{dataset}/{os.path.splitext(source)[0]}",
            identity=None if person in crossing else person,
            licence="DFDC terms of use",
        )


def _person(path: str, entry: Mapping[str, Any]) -> str | None:
    """Return the person who is filmed, or None if neither list nor name tells."""
    match = _NAME.fullmatch(_stem(path))
    return str(entry.get("target_id") or "") or (match and match[1])


def _source(path: str, entry: Mapping[str, Any], originals: Mapping[str, str]) -> str | None:
    """Return the path of the original of a fake: the same clip, or the first of the same recording."""
    match = _NAME.fullmatch(_stem(path))
    recording = entry.get("source_video") or (f"{match[1]}_{match[2]}" if match else "")
    clip = f"{recording}_{match[3]}" if match else ""
    clips = sorted(stem for stem in originals if stem.startswith(f"{recording}_"))
    best = next((stem for stem in (recording, clip, *clips[:1]) if stem in originals), None)
    return originals[best] if best else None


def _stem(path: str) -> str:
    return os.path.splitext(path.rpartition("/")[2])[0]
