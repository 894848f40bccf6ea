"""A plain folder of videos.

    [train|val|test/]{real,fake,FS,RE}/[METHOD/]NAME.mp4

The folder names give split, label, category and method. Without split folders each video is assigned to
train, val or test (80, 10, 10 %) by a hash of its name, so one person can be in several splits: to prevent
that, use the csv reader with its column identity.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import VIDEO_SUFFIXES, Files
from dfray.datasets.readers.rows import VideoRow, video_row
from dfray.errors import ManifestError
from dfray.tables import SPLITS

_CATEGORY_OF = {"real": "real", "fake": "fake", "fs": "FS", "re": "RE"}


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or os.path.basename(corpus.root.rstrip("/")) or "folder"
    paths = list(files.videos())
    if not paths:
        raise ManifestError(
            f"{corpus.root} holds no video ({', '.join(VIDEO_SUFFIXES)}).", "Check corpora.root."
        )
    for path in paths:
        *folders, name = path.split("/")
        stem = os.path.splitext(name)[0]
        split = folders.pop(0) if folders and folders[0] in SPLITS else split_of(stem)
        category = _CATEGORY_OF.get(folders.pop(0).lower()) if folders else None
        if category is None:
            raise ManifestError(
                f"{files.uri(path)}: its folders do not say whether it is real or fake.",
                "Put videos under folders called real, fake, FS or RE, or use the csv reader.",
            )
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method="/".join(folders) or category,
            stem=stem,
            split=split,
            category=category,
        )


def split_of(key: str) -> str:
    """Return train, val or test for 80, 10 and 10 % of keys, always the same for the same key."""
    bucket = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 10
    return "train" if bucket < 8 else "val" if bucket == 8 else "test"
