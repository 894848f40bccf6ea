"""Celeb-DF v2 (arXiv 1909.12962).

    Celeb-real/idA_NNNN.mp4  YouTube-real/NNNNN.mp4  Celeb-synthesis/idA_idB_NNNN.mp4
    List_of_testing_videos.txt       lines "1 Celeb-real/id0_0000.mp4": 1 real, 0 fake

Celeb-DF++, whose Celeb-synthesis has folders FaceSwap, FaceReenact and TalkingFace, is refused: its
re-enacted and talking faces would count as swaps.

idA_idB_NNNN is idA_NNNN with the face of idB. Videos that the list does not name are for training; there
is no validation split, and none is made. Some people of the list are in training videos as well, so the
rows have no identity: the manifest would refuse them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.lists import read_lines
from dfray.datasets.readers.rows import VideoRow, video_row
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL

CATEGORY_OF = {"Celeb-real": "real", "YouTube-real": "real", "Celeb-synthesis": "FS"}
LIST = "List_of_testing_videos.txt"
OF_CELEB_DF_PP = ("FaceSwap", "FaceReenact", "TalkingFace")
LICENCE = "Celeb-DF terms of use (non-commercial research)"
PUBLISHED = Published(TABLE_1, train=6010, test=518, real=889, fake=5639, real_faces=9_000)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "celeb-df-v2"
    tested = testing_labels(files.uri(LIST))
    present = [path for folder in CATEGORY_OF for path in files.videos(folder)]
    _refuse_celeb_df_pp(corpus.root, {*tested, *present})
    for path in sorted({*tested, *present}):
        folder, _, name = path.partition("/")
        stem = os.path.splitext(name)[0]
        swapped = re.fullmatch(r"(id\d+)_id\d+_(\d+)", stem)
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=folder,
            stem=stem,
            split="test" if path in tested else "train",
            category=CATEGORY_OF[folder],
            source_video=f"{dataset}/Celeb-real/{swapped[1]}_{swapped[2]}" if swapped else None,
            licence=LICENCE,
        )


def _refuse_celeb_df_pp(root: str, paths: Iterable[str]) -> None:
    for path in sorted(paths):
        if not set(path.split("/")[1:-1]).isdisjoint(OF_CELEB_DF_PP):
            raise ManifestError(
                f"{root} holds Celeb-DF++ ({path}), and reader celeb_df reads Celeb-DF v2.",
                "Use reader: celeb_df_pp.",
            )


def testing_labels(uri: str) -> dict[str, int]:
    """Return the official test videos, path -> label.

    Raises:
        ManifestError: the list is missing, has a malformed line, or contradicts the folders.
    """
    labels, listed = Labels(), {}
    for line, fields in read_lines(uri, "It comes with Celeb-DF; put it there."):
        folder = fields[-1].partition("/")[0]
        if len(fields) != 2 or fields[0] not in ("0", "1") or folder not in CATEGORY_OF:
            raise ManifestError(f"{uri} line {line}: {' '.join(fields)!r} is no label and video.")
        label, path = fields
        labels.add(path, REAL if CATEGORY_OF[folder] == "real" else FAKE, f"folder {folder}")
        labels.add(path, REAL if label == "1" else FAKE, f"{LIST} line {line}")
        listed[path] = labels[path]
    return listed
