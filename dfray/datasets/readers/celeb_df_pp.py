"""Celeb-DF++ (arXiv 2507.18015): 22 methods that swap, re-enact or animate the faces of Celeb-DF.

    Celeb-real/idA_NNNN.mp4  YouTube-real/NNNNN.mp4
    Celeb-synthesis/FaceSwap/METHOD/idA_idB_NNNN.mp4
    Celeb-synthesis/FaceReenact/METHOD/idA_idB_NNNN.mp4
    Celeb-synthesis/TalkingFace/METHOD/idA_NNNN_....mp4
    List_of_testing_videos.txt       lines "1 Celeb-real/id0_0000.mp4": 1 real, 0 fake

The folders are those of the publisher's page; the categories are FS, RE and TF. The list has 178 real
videos and 200 (swaps, re-enactments) or 300 (talking faces) of each method. As of Celeb-DF v2, all other
videos are for training, nobody has an identity, and there is no validation split.

Least sure: the form of the list's paths (taken as those below the root), and the names of fakes, which the
page does not state: idA_NNNN is taken for the real video that a fake was made from. The counts are those
that other publications repeat; those of the splits follow from the list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.celeb_df import LIST, testing_labels
from dfray.datasets.readers.rows import VideoRow, video_row
from dfray.errors import ManifestError

REALS = ("Celeb-real", "YouTube-real")
FAKES = "Celeb-synthesis"
CATEGORY_OF = {"FaceSwap": "FS", "FaceReenact": "RE", "TalkingFace": "TF"}
LICENCE = "Celeb-DF++ terms of use, CC BY-NC 4.0"
PUBLISHED = Published("arXiv 2507.18015", train=48_808, test=5278, real=890, fake=53_196)
_FAKE = re.compile(r"(id\d+)_(?:id\d+_)?(\d+)(?:_.*)?")


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "celeb-df++"
    tested = testing_labels(files.uri(LIST))
    present = [path for folder in (*REALS, FAKES) for path in files.videos(folder)]
    for path in sorted({*tested, *present}):
        folder, *scenario_and_method, name = path.split("/")
        stem = os.path.splitext(name)[0]
        category, method = "real", folder
        if folder == FAKES:
            category, method = _category_and_method(corpus.root, path, scenario_and_method)
        made_from = _FAKE.fullmatch(stem) if folder == FAKES else None
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=method,
            stem=stem,
            split="test" if path in tested else "train",
            category=category,
            source_video=made_from and f"{dataset}/Celeb-real/{made_from[1]}_{made_from[2]}",
            licence=LICENCE,
        )


def _category_and_method(root: str, path: str, folders: list[str]) -> tuple[str, str]:
    """Return category and method of a fake by its folders below Celeb-synthesis."""
    if not folders:
        raise ManifestError(
            f"{root} holds Celeb-DF v2 ({path}), and reader celeb_df_pp reads Celeb-DF++.",
            "Use reader: celeb_df.",
        )
    if len(folders) != 2 or folders[0] not in CATEGORY_OF:
        raise ManifestError(
            f"{root}: {path} is in no folder {FAKES}/SCENARIO/METHOD.",
            f"A scenario is {', '.join(CATEGORY_OF)}; lay the corpus out as it is published.",
        )
    return CATEGORY_OF[folders[0]], folders[1]
