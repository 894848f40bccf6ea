"""DeepFakeDetection, by Google and Jigsaw, in the folders of FaceForensics++.

    original_sequences/actors/{raw,c23,c40}/videos/AA__scene.mp4
    manipulated_sequences/DeepFakeDetection/{raw,c23,c40}/videos/AA_BB__scene__CODE.mp4

AA_BB is actor AA with the face of BB. It has no splits and serves as a test set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.ffpp import LICENCE
from dfray.datasets.readers.rows import VideoRow, video_row

PUBLISHED = Published(
    "FaceForensics++'s repository, DeepFakeDetection", real=363, fake=3068, test=3431
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "dfd"
    for path in files.videos(f"original_sequences/actors/{corpus.compression}/videos"):
        stem = _stem(path)
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method="actors",
            stem=stem,
            split="test",
            category="real",
            identity=stem.split("__")[0],
            licence=LICENCE,
        )
    for path in files.videos(
        f"manipulated_sequences/DeepFakeDetection/{corpus.compression}/videos"
    ):
        stem = _stem(path)
        actors, scene, *_ = [*stem.split("__"), ""]
        actor = actors.split("_")[0]
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method="DeepFakeDetection",
            stem=stem,
            split="test",
            category="FS",
            source_video=f"{dataset}/actors/{actor}__{scene}",
            identity=actor,
            licence=LICENCE,
        )


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
