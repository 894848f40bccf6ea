"""DeepFake Detection Challenge (arXiv 2006.07397), in the folders of its archives.

    [train/]dfdc_train_part_N/metadata.json   {"name.mp4": {"label": "FAKE", "original": ...}}
    train_sample_videos/metadata.json         the same, of Kaggle's sample
    validation/labels.csv                     filename,label (1 fake)
    test/labels.csv, test/metadata.json       the same; {"name.mp4": {"is_fake": 1, ...}}

Each list is in the folder of its videos; videos without one are left out and counted. The lists do not give
the method of a fake; all count as face swaps (arXiv 2508.19730, Table 1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.lists import read_csv, read_json
from dfray.datasets.readers.rows import LeftOut, VideoRow, label_of, video_row
from dfray.datasets.suffixes import suffix_of
from dfray.errors import ManifestError

LISTS = ("metadata.json", "labels.csv", "label.csv")
_HINT = "It comes in DFDC's archives, beside the videos."
PUBLISHED = Published(
    TABLE_1, train=119_154, val=4000, test=5000, real=23_654, fake=104_500, real_faces=198_000
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut]:
    dataset = corpus.dataset or "dfdc"
    labels = Labels()
    originals: dict[str, str] = {}
    for path in files.named(*LISTS):
        folder = path.rpartition("/")[0]
        split_of(folder or corpus.root, path)
        for name, label, original in _entries(files.uri(path)):
            video = f"{folder}/{name}" if folder else name
            labels.add(video, label, path)
            if original:
                originals[video] = os.path.splitext(original)[0]
    if not labels:
        raise ManifestError(f"{corpus.root} holds no {' or '.join(LISTS)}.", _HINT)
    for path, label in labels.items():
        folder, _, name = path.rpartition("/")
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method="fake" if label else "real",
            stem=os.path.splitext(name)[0],
            split=split_of(folder or corpus.root, path),
            category="FS" if label else "real",
            source_video=f"{dataset}/real/{originals[path]}" if path in originals else None,
            licence="DFDC terms of use",
        )
    listed = {path.rpartition("/")[0] for path in files.named(*LISTS)}
    for path in files.videos():
        folder = path.rpartition("/")[0]
        if path not in labels:
            reason = f"no {' or '.join(LISTS)} in {folder or 'the root'}"
            if folder in listed:
                reason = f"the list in {folder or 'the root'} does not name it"
            yield LeftOut(dataset, reason, files.uri(path), suffix_of(path))


def split_of(folder: str, path: str) -> str:
    """Return train, val or test, by the name of the list's folder."""
    for name in reversed(folder.lower().split("/")):
        for start, split in (
            ("dfdc_train", "train"),
            ("train", "train"),
            ("val", "val"),
            ("test", "test"),
        ):
            if name.startswith(start):
                return split
    raise ManifestError(
        f"{path}: the name of its folder gives no split.",
        "It should be called dfdc_train_part_N, train_sample_videos, validation or test.",
    )


def _entries(uri: str) -> Iterator[tuple[str, int, str | None]]:
    """Yield (file, label, original) of one list."""
    if uri.endswith(".csv"):
        for line, row in read_csv(uri, ("filename", "label"), _HINT):
            yield row["filename"], label_of(row["label"], f"{uri} line {line}"), None
        return
    for name, entry in read_json(uri, _HINT).items():
        label = entry.get("label", entry.get("is_fake"))
        yield name, label_of(str(label), f"{uri}: {name}"), entry.get("original")
