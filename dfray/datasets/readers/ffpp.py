"""FaceForensics++ (arXiv 1901.08971) as published, in any of its compressions.

    original_sequences/youtube/{raw,c23,c40}/videos/NNN.mp4
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/NNN_MMM.mp4
    [splits/]{train,val,test}.json        pairs [NNN, MMM]
    .../{raw,c23,c40}/frames/NNN_MMM/*.png         as DeepfakeBench has them, with `kind: faces` or `frames`

A pair gives two originals and, for each method, two fakes: NNN_MMM is video NNN with the face, or the
expression, of MMM. Both videos of a pair are in one split, so every person is in one split.
"""

from __future__ import annotations

from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.lists import read_text
from dfray.datasets.readers.rows import VideoRow, video_row
from dfray.documents import parse_json
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
    TABLE_1, train=4320, val=840, test=840, real=1000, fake=5000, real_faces=12_000, n_methods=5
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "ff++"
    kind = corpus.kind or "video"

    def row(split: str, folder: str, method: str, stem: str) -> VideoRow:
        target = stem.split("_")[0]
        original = folder == "original_sequences"
        place = f"videos/{stem}.mp4" if kind == "video" else f"frames/{stem}"
        return video_row(
            corpus,
            dataset,
            uri=files.uri(folder, method, corpus.compression, place),
            method=method,
            stem=stem,
            split=split,
            category=CATEGORY_OF.get(method, "real"),
            source_video=None if original else f"{dataset}/youtube/{target}",
            identity=target,
            licence=LICENCE,
            kind=kind,
        )

    if kind == "video":
        _refuse_frames_alone(corpus, files)
    for split in SPLITS:
        for first, second in _pairs(_list(files, split)):
            yield row(split, "original_sequences", "youtube", first)
            yield row(split, "original_sequences", "youtube", second)
            for method in CATEGORY_OF:
                yield row(split, "manipulated_sequences", method, f"{first}_{second}")
                yield row(split, "manipulated_sequences", method, f"{second}_{first}")


def _refuse_frames_alone(corpus: CorpusSection, files: Files) -> None:
    """Raise a ManifestError if the root holds pictures in place of the videos, as DeepfakeBench does."""
    frames = f"/{corpus.compression}/frames/"
    folder = next((path for path in files.image_folders() if frames in f"/{path}/"), None)
    if folder and not any(f"/{corpus.compression}/videos/" in path for path in files.videos()):
        raise ManifestError(
            f"{corpus.root} holds pictures ({folder}) and no videos, as DeepfakeBench lays "
            "FaceForensics++ out.",
            "Set corpora.kind: faces (its pictures are cropped faces), or frames to detect faces in them.",
        )


def _list(files: Files, split: str) -> str:
    """Return the URI of a split's list: in splits/, or else in the root, as DeepfakeBench has it."""
    in_root = files.uri(f"{split}.json")
    return in_root if files.has(in_root) else files.uri("splits", f"{split}.json")


def _pairs(uri: str) -> list[tuple[str, str]]:
    text = read_text(
        uri, "The official splits come with FaceForensics++ (dataset/splits); put them there."
    )
    pairs = parse_json(text, uri, ManifestError)
    try:
        return [(str(first), str(second)) for first, second in pairs]
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{uri} is not a list of pairs of video names: {error}.") from error
