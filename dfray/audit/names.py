"""Names of the people in a video: as the corpus states them, or as its file is named after them."""

from __future__ import annotations

import re

Name = tuple[str, str]
"""(space, name): the names of one space are of the same people in all its corpora."""
Named = frozenset[Name]
"""People in a video, the donor of a swapped face among them."""

DATASETS = {
    "ffpp": "ff++",
    "celeb_df": "celeb-df-v2",
    "dfdc": "dfdc",
    "fakeavceleb": "fakeavceleb",
    "forgerynet": "forgerynet",
    "df40": "df40",
    "wilddeepfake": "wilddeepfake",
    "deepfake_eval_2024": "deepfake-eval-2024",
    "dfd": "dfd",
    "dfdc_preview": "dfdc-preview",
    "ffiw": "ffiw",
    "celeb_df_pp": "celeb-df++",
    "deepspeak_v2": "deepspeak-v2",
    "kodf": "kodf",
    "idforge": "idforge",
}
"""Reader of a published corpus -> name of its dataset, if the recipe gives it no other."""

_CELEB = re.compile(r"(id\d+)(?:_(id\d+))?_\d+(?:_.*)?")
_PAIR = re.compile(r"(\d{3})_(\d{3})")
_ACTORS = re.compile(r"(\d+)_(\d+)__.*")
_OF_PREVIEW = re.compile(r"(\d+)_(?:(\d+)_)?[A-Z]_\d+")


def named_people(reader: str, video_id: str, identity: str | None) -> Named | None:
    """Return the people that a video names, or None if it names nobody.

    Celeb-DF v2 names its 59 celebrities in the names of files, id0 to id61, and so do Celeb-DF++ and DF40,
    whose real videos and targets are Celeb-DF v2's; videos of YouTube-real name nobody. FaceForensics++ has a
    person a video, NNN_MMM shows NNN with the face or the expression of MMM; DFD's AA_BB__scene shows actor
    AA with the face of BB, and so do the names of the DFDC preview, also of people in more than one of its
    sets.

    Args:
        reader: of the corpus; of a list or a folder another name of its own.
        identity: as the manifest states it.
    """
    stem = video_id.rpartition("/")[2]
    if reader in ("celeb_df", "celeb_df_pp", "df40"):
        match = _CELEB.fullmatch(stem)
        return _names("celeb_df", *match.groups()) if match else None
    if reader == "dfdc_preview" and (match := _OF_PREVIEW.fullmatch(stem)):
        return _names(reader, *match.groups())
    if identity is None:
        return None
    if reader == "ffpp" and (pair := _PAIR.fullmatch(stem)):
        return _names(reader, identity, pair[2])
    if reader == "dfd" and (actors := _ACTORS.fullmatch(stem)):
        return _names(reader, identity, actors[2])
    return _names(reader, identity)


def _names(space: str, *names: str | None) -> Named:
    return frozenset((space, name) for name in names if name)
