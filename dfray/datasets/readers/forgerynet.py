"""Videos of ForgeryNet (arXiv 2103.05630).

    {Training,Validation,Test}/video_list.txt
    {Training,Validation,Test}/video/NAME           NAME as in the list

A line is `<n> <name> (<start> <frames> <0 or 1>) x n <binary> <three-way> <16-way>`: n segments and then the
labels of the whole video (0 real). The 16-way label names the method. Videos of editing and synthesis,
which ForgeryNet applies to images, are left out. Videos that no list names are left out and counted, as those
of a missing list.

The segments are not used: all faces of a fake video count as fake, also those outside its forged segments.
`dfray manifest check` counts the videos whose list tells that a part of them is not forged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.lists import read_lines
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow, label_of, video_row
from dfray.errors import ManifestError

METHODS = {
    "0": ("real", "real"),
    "1": ("FaceShifter", "FS"),
    "2": ("FS-GAN", "FS"),
    "3": ("DeepFakes", "FS"),
    "4": ("BlendFace", "FS"),
    "5": ("MMReplacement", "FS"),
    "6": ("DeepFakes-StarGAN-Stack", "FS"),
    "7": ("Talking Head Video", "RE"),
    "8": ("ATVG-Net", "RE"),
    "9": ("StarGAN-BlendFace-Stack", "FS"),
    "10": ("First Order Motion", "RE"),
}
EDITING = {str(number) for number in range(11, 16)}
FOLDERS = {"Training": "train", "Validation": "val", "Test": "test"}
PUBLISHED = Published(
    TABLE_1, train=64_197, val=9982, test=13_522, real=48_164, fake=39_537, real_faces=82_000
)


PARTLY = "a part of the video is not forged, by its list, and its faces count as fake too"


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut | Remark]:
    dataset = corpus.dataset or "forgerynet"
    labels = Labels()
    expected = {folder: files.uri(folder, "video_list.txt") for folder in FOLDERS}
    lists = {folder: uri for folder, uri in expected.items() if files.has(uri)}
    if not lists:
        raise ManifestError(
            f"{corpus.root} holds no {' or '.join(FOLDERS)}/video_list.txt.",
            "They come in ForgeryNet's train_list, val_list and test_list archives; put them there.",
        )
    for folder, uri in lists.items():
        for line, fields in read_lines(uri, "It comes with ForgeryNet."):
            where = f"{folder}/video_list.txt line {line}"
            if not fields[0].isdecimal() or len(fields) != 5 + 3 * int(fields[0]):
                raise ManifestError(f"{uri} line {line} has {len(fields)} words, not 5 + 3 n.")
            name, binary, number = fields[1], fields[-3], fields[-1]
            if number in EDITING:
                uri = files.uri(folder, "video", name)
                yield LeftOut(dataset, "face editing or synthesis", uri)
                continue
            if number not in METHODS:
                raise ManifestError(f"{uri} line {line}: unknown 16-way label {number!r}.")
            labels.add(name, label_of(binary, where), f"{where} (binary label)")
            labels.add(name, int(number != "0"), f"{where} (16-way label)")
            method, category = METHODS[number]
            if category != "real" and is_partly_forged(fields[2:-3]):
                yield Remark(dataset, PARTLY)
            yield video_row(
                corpus,
                dataset,
                uri=files.uri(folder, "video", name),
                method=method,
                stem=os.path.splitext(name.partition("/")[2] or name)[0],
                split=FOLDERS[folder],
                category=category,
                licence="ForgeryNet terms of use (non-commercial research)",
            )


def is_partly_forged(segments: list[str]) -> bool:
    """Return True if a video's list leaves out a part of it, or tells that a part is real.

    Args:
        segments: start, frames and 0 or 1 (forged) of each.
    """
    return len(segments) > 3 or segments[:1] != ["0"] or segments[2:3] == ["0"]
