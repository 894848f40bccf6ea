"""People of FakeAVCeleb's meta_data.csv: their splits, and the real videos that fakes were made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

Row = dict[str, str]
"""A line of meta_data.csv."""
_DEAL = ("train",) * 14 + ("val",) * 3 + ("test",) * 3


def split_people(rows: list[Row]) -> dict[str, str]:
    """Return person -> split, for all people of the list."""
    groups = {row["source"]: (row["race"], row["gender"]) for row in rows}

    def order(person: str) -> tuple[tuple[str, str], str]:
        return groups[person], hashlib.sha256(person.encode()).hexdigest()

    people = sorted(groups, key=order)
    return {person: _DEAL[7 * place % len(_DEAL)] for place, person in enumerate(people)}


def real_videos(rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    """Return person -> (leading number of a real video's name -> its method and stem)."""
    reals: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["type"] == "RealVideo-RealAudio":
            video = f"{row['method']}/{stem_of(row)}"
            reals.setdefault(row["source"], {}).setdefault(_number(row["path"]), video)
    return reals


def source_of(dataset: str, row: Row, reals: dict[str, dict[str, str]]) -> str | None:
    """Return the video_id of the real video that a fake was made from, or None if the list has none."""
    of_person = reals.get(row["source"], {})
    only = next(iter(of_person.values())) if len(of_person) == 1 else None
    video = of_person.get(_number(row["path"]), only)
    return f"{dataset}/{video}" if video else None


def _number(name: str) -> str:
    return name.partition("_")[0].partition(".")[0]


def stem_of(row: Row) -> str:
    """Return the stem of a row's video, with its type and person."""
    return f"{row['type']}/{row['source']}/{os.path.splitext(row['path'])[0]}"
