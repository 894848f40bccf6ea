"""A plain folder of videos: <root>/[train|val|test/]{real,fake,FS,RE}/[method/]name.mp4.

The folder names tell split, label, category and method. Without split folders each video is put into
train, val or test (80, 10, 10 %) by a hash of its name, which does not keep a
person to one split: name identities in a CSV for that.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from dfray import storage
from dfray.config import CorpusSection
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL, SPLITS

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_CATEGORY_OF = {"real": "real", "fake": "fake", "fs": "FS", "re": "RE"}


def read(corpus: CorpusSection) -> Iterator[dict]:
    dataset = corpus.dataset or os.path.basename(corpus.root.rstrip("/")) or "folder"
    found = False
    for uri in storage.walk_files(corpus.root):
        if not uri.lower().endswith(VIDEO_SUFFIXES):
            continue
        found = True
        parts = uri[len(corpus.root.rstrip("/")) + 1 :].split("/")
        stem = os.path.splitext(parts[-1])[0]
        folders = parts[:-1]
        split = folders.pop(0) if folders and folders[0] in SPLITS else split_of(stem)
        category = _CATEGORY_OF.get(folders.pop(0).lower()) if folders else None
        if category is None:
            raise ManifestError(
                f"{uri}: its folders do not tell whether it is real or fake.",
                "Put videos under folders called real, fake, FS or RE, or use the csv reader.",
            )
        yield {
            "video_id": f"{dataset}/{'/'.join(folders) or category}/{stem}",
            "uri": uri,
            "dataset": dataset,
            "split": split,
            "label": REAL if category == "real" else FAKE,
            "category": category,
            "method": "/".join(folders) or category,
        }
    if not found:
        raise ManifestError(
            f"{corpus.root} holds no video ({', '.join(VIDEO_SUFFIXES)}).", "Check corpora.root."
        )


def split_of(key: str) -> str:
    """train, val or test for 80, 10 and 10 % of keys, always the same for the same key."""
    part = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 10
    return "train" if part < 8 else "val" if part == 8 else "test"
