"""A plain folder of videos: <root>/[train|val|test/]{real,fake,FS,RE}/[method/]name.mp4.

The folder names tell split, label, category and method. Without split folders each video is put into
train, val or test (80, 10, 10 %) by a hash of its name, which does not keep a
person to one split: name identities in a CSV for that.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import VIDEO_SUFFIXES, Files
from dfray.datasets.readers.rows import video_row
from dfray.errors import ManifestError
from dfray.tables import SPLITS

_CATEGORY_OF = {"real": "real", "fake": "fake", "fs": "FS", "re": "RE"}


def read(corpus: CorpusSection, files: Files) -> Iterator[dict]:
    dataset = corpus.dataset or os.path.basename(corpus.root.rstrip("/")) or "folder"
    found = False
    for path in files.videos():
        found = True
        *folders, name = path.split("/")
        stem = os.path.splitext(name)[0]
        split = folders.pop(0) if folders and folders[0] in SPLITS else split_of(stem)
        category = _CATEGORY_OF.get(folders.pop(0).lower()) if folders else None
        if category is None:
            raise ManifestError(
                f"{files.uri(path)}: its folders do not tell whether it is real or fake.",
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
    if not found:
        raise ManifestError(
            f"{corpus.root} holds no video ({', '.join(VIDEO_SUFFIXES)}).", "Check corpora.root."
        )


def split_of(key: str) -> str:
    """train, val or test for 80, 10 and 10 % of keys, always the same for the same key."""
    part = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 10
    return "train" if part < 8 else "val" if part == 8 else "test"
