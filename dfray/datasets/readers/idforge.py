"""IDForge v1 (arXiv 2401.11764): shots of 54 celebrities, with swapped faces or driven lips.

    {train,val,test}.csv                  a path a line, TYPE/idNN/idNN_MM/NAME.mp4; no header
    {pristine,TYPE}/idNN/idNN_MM/NAME.mp4

The folders of main, with the lists of the publisher's repository (IDForge_v1/) beside them. TYPE begins
with face_ (swapped by infoswap, roop or simswap, then lip-synced: FS), lip_ (Wav2Lip: TF), or is
rvc_textmismatch, tts_textgen or tts_textmismatch: real pictures under a forged voice, which are left out,
as only the picture is judged. A video is of the person idNN who is seen; the lists divide people.

The reference set and IDForge v2, which has arrays in place of videos, are not read.

Least sure: that the lists of training and test have the form of the validation's, which was seen, and keep
people apart as it does. Of the counts the real videos are the paper's (the repository says 80,000), those
of validation are the list's; how many fakes show a forged picture is not published.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.lists import read_text
from dfray.datasets.readers.rows import LeftOut, VideoRow, video_row
from dfray.errors import ManifestError
from dfray.tables import SPLITS

CATEGORY_OF = {"pristine": "real", "face": "FS", "lip": "TF"}
VOICE_ALONE = ("rvc_textmismatch", "tts_textgen", "tts_textmismatch")
PUBLISHED = Published(
    "arXiv 2401.11764, and the list of validation", val=14_037, real=79_827, fake=0
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut]:
    dataset = corpus.dataset or "idforge"
    seen: dict[str, str] = {}
    for split, where, path in _listed(files):
        kind, person, session, name = path.split("/")
        if seen.setdefault(path, where) != where:
            raise ManifestError(f"{path} is in {seen[path]} and in {where}.", "Remove one.")
        if kind in VOICE_ALONE:
            yield LeftOut(dataset, "real picture under a forged voice", files.uri(path))
            continue
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=kind,
            stem=f"{session}/{os.path.splitext(name)[0]}",
            split=split,
            category=CATEGORY_OF[kind.partition("_")[0]],
            identity=person,
            licence="IDForge terms of use",
        )


def _listed(files: Files) -> Iterator[tuple[str, str, str]]:
    """Yield (split, list and line, path) of the three lists.

    Raises:
        ManifestError: a list is missing, or a line is no such path.
    """
    for split in SPLITS:
        uri = files.uri(f"{split}.csv")
        text = read_text(uri, "It is in IDForge's repository, IDForge_v1/; put it there.")
        for number, line in enumerate(text.splitlines(), 1):
            path = line.strip()
            kind = path.partition("/")[0]
            if path and (len(path.split("/")) != 4 or not _is_known(kind)):
                raise ManifestError(
                    f"{uri} line {number}: {path!r} is no path TYPE/idNN/idNN_MM/NAME.mp4.",
                    "A type is pristine, or begins with face_, lip_, rvc_ or tts_.",
                )
            if path:
                yield split, f"{split}.csv line {number}", path


def _is_known(kind: str) -> bool:
    return kind in VOICE_ALONE or kind.partition("_")[0] in CATEGORY_OF
