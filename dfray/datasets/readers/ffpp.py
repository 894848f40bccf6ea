"""FaceForensics++ (arXiv 1901.08971) as published, in any of its compressions.

    original_sequences/youtube/{raw,c23,c40}/videos/NNN.mp4
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/NNN_MMM.mp4
    splits/{train,val,test}.json          pairs [NNN, MMM]

A pair gives two originals and, for each method, two fakes: NNN_MMM is video NNN with the face, or the
expression, of MMM. Both videos of a pair are in one split, so every person is in one split.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.lists import read_text
from dfray.datasets.readers.rows import VideoRow, video_row
from dfray.errors import ManifestError
from dfray.tables import SPLITS

CATEGORY_OF = {
    "Deepfakes": "FS",
    "FaceSwap": "FS",
    "FaceShifter": "FS",
    "Face2Face": "RE",
    "NeuralTextures": "RE",
}
LICENCE = "FaceForensics++ terms of use (non-commercial research)"
PUBLISHED = Published(
    TABLE_1, train=4320, val=840, test=840, real=1000, fake=5000, real_faces=12_000
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "ff++"

    def row(split: str, kind: str, method: str, stem: str) -> VideoRow:
        target = stem.split("_")[0]
        original = kind == "original_sequences"
        return video_row(
            corpus,
            dataset,
            uri=files.uri(kind, method, corpus.compression, "videos", f"{stem}.mp4"),
            method=method,
            stem=stem,
            split=split,
            category=CATEGORY_OF.get(method, "real"),
            source_video=None if original else f"{dataset}/youtube/{target}",
            identity=target,
            licence=LICENCE,
        )

    for split in SPLITS:
        for first, second in _pairs(files.uri("splits", f"{split}.json")):
            yield row(split, "original_sequences", "youtube", first)
            yield row(split, "original_sequences", "youtube", second)
            for method in CATEGORY_OF:
                yield row(split, "manipulated_sequences", method, f"{first}_{second}")
                yield row(split, "manipulated_sequences", method, f"{second}_{first}")


def _pairs(uri: str) -> list[tuple[str, str]]:
    text = read_text(
        uri, "The official splits come with FaceForensics++ (dataset/splits); put them there."
    )
    try:
        return [(str(first), str(second)) for first, second in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{uri} is not a list of pairs of video names: {error}.") from error
