"""FaceForensics++ (arXiv 1901.08971) as published, in any of its compressions.

    original_sequences/youtube/{raw,c23,c40}/videos/NNN.mp4
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/NNN_MMM.mp4
    splits/{train,val,test}.json          pairs [NNN, MMM]

A pair gives two originals and two fakes a method: NNN_MMM is video NNN with the face, or the expression,
of MMM. Pairs never cross the official splits, so neither do people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dfray import storage
from dfray.config import CorpusSection
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL, SPLITS

CATEGORY_OF = {
    "Deepfakes": "FS",
    "FaceSwap": "FS",
    "FaceShifter": "FS",
    "Face2Face": "RE",
    "NeuralTextures": "RE",
}
LICENCE = "FaceForensics++ terms of use (non-commercial research)"


def read(corpus: CorpusSection) -> Iterator[dict]:
    dataset = corpus.dataset or "ff++"

    def row(split: str, kind: str, method: str, stem: str) -> dict:
        target = stem.split("_")[0]
        original = kind == "original_sequences"
        return {
            "video_id": f"{dataset}/{method}/{stem}",
            "uri": storage.join(
                corpus.root, kind, method, corpus.compression, "videos", f"{stem}.mp4"
            ),
            "dataset": dataset,
            "split": split,
            "label": REAL if original else FAKE,
            "category": CATEGORY_OF.get(method, "real"),
            "method": method,
            "source_video": None if original else f"{dataset}/youtube/{target}",
            "identity": target,
            "licence": corpus.licence or LICENCE,
        }

    for split in SPLITS:
        for first, second in _pairs(corpus.root, split):
            yield row(split, "original_sequences", "youtube", first)
            yield row(split, "original_sequences", "youtube", second)
            for method in CATEGORY_OF:
                yield row(split, "manipulated_sequences", method, f"{first}_{second}")
                yield row(split, "manipulated_sequences", method, f"{second}_{first}")


def _pairs(root: str, split: str) -> list[tuple[str, str]]:
    uri = storage.join(root, "splits", f"{split}.json")
    if not storage.exists(uri):
        raise ManifestError(
            f"{uri} is missing.",
            "The official splits come with FaceForensics++ (dataset/splits); put them there.",
        )
    try:
        return [(str(first), str(second)) for first, second in json.loads(storage.read_bytes(uri))]
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{uri} is not a list of pairs of video names: {error}.") from error
