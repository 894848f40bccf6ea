"""FFIW10K (arXiv 2103.16076), several people in a picture.

    {source,target}/{train,val,test}/NAME.mp4

source is real, target has one or more faces swapped; target_mask is not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.rows import VideoRow, video_row
from dfray.tables import SPLITS

CATEGORY_OF = {"source": "real", "target": "FS"}
PUBLISHED = Published("FFIW10K's lists; arXiv 2103.16076 says 10,000", real=9_988, fake=9_988)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "ffiw"
    for folder, category in CATEGORY_OF.items():
        for split in SPLITS:
            for path in files.videos(f"{folder}/{split}"):
                name = os.path.splitext(path.split("/", 2)[2])[0]
                yield video_row(
                    corpus,
                    dataset,
                    uri=files.uri(path),
                    method=folder,
                    stem=f"{split}/{name}",
                    split=split,
                    category=category,
                    licence="FFIW10K terms of use (non-commercial research)",
                )
