"""Splits drawn by a hash, for collections that state none; the same names always get the same splits.

80, 10 and 10 % of the keys go to train, val and test. The key of a video is its name, except where the name
tells who is seen:

    000.mp4, 000_003.mp4                FaceForensics++: video 000, and 000 with the face of 003. People
                                        who are linked by such pairs have one key.
    id0_0001.mp4, id0_id2_0001.mp4      Celeb-DF: the person filmed, id0, is the key.

Numbers that link most of the videos and more than PEOPLE_OF_A_GROUP people count something else than people,
such as clips (0001_0002: clip 2 of person 1): the first number is the key then.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

DRAWN = "no split is stated: drawn by a hash of the name (train 80, val 10, test 10 %)"
DRAWN_BY_PEOPLE = (
    "no split is stated: drawn by a hash of who is seen, by the name (train 80, val 10, test 10 %)"
)
PEOPLE_OF_A_GROUP = 10
_PAIR = re.compile(r"(\d{3,})_(\d{3,})")
_NUMBER = re.compile(r"\d{3,}")
_CELEB = re.compile(r"(id\d+)(?:_id\d+)?_\d+")


def split_of(key: str) -> str:
    """Return train, val or test for 80, 10 and 10 % of keys, always the same for the same key."""
    bucket = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 10
    return "train" if bucket < 8 else "val" if bucket == 8 else "test"


def keys_of(names: Iterable[str]) -> dict[str, str]:
    """Return name -> key for the names of a collection's videos, without suffix."""
    names = list(dict.fromkeys(names))
    groups = _linked(names)
    return {name: _key(name, groups) for name in names}


def _key(name: str, groups: dict[str, str]) -> str:
    if celeb := _CELEB.fullmatch(name):
        return celeb[1]
    if pair := _pair(name):
        return groups.get(pair[0], pair[0])
    return groups.get(name, name)


def _pair(name: str) -> tuple[str, str] | None:
    """Return the two numbers of NNN_MMM, which have as many digits, or None."""
    match = _PAIR.fullmatch(name)
    return (match[1], match[2]) if match and len(match[1]) == len(match[2]) else None


def _linked(names: list[str]) -> dict[str, str]:
    """Return number -> the smallest number it is linked with, or nothing if they count no people.

    A pair links its numbers if the second is a video's own too: as NNN, or first in another pair.
    """
    pairs = [pair for name in names if (pair := _pair(name))]
    first = {pair[0] for pair in pairs} | {name for name in names if _NUMBER.fullmatch(name)}
    root = {number: number for number in first}

    def find(number: str) -> str:
        while root[number] != number:
            root[number] = number = root[root[number]]
        return number

    for target, source in pairs:
        if source in root:
            low, high = sorted((find(target), find(source)))
            root[high] = low
    groups = {number: find(number) for number in root}
    people = Counter(groups.values())
    largest, size = people.most_common(1)[0] if people else ("", 0)
    videos = sum(groups.get(name.partition("_")[0]) == largest for name in names)
    return {} if size > PEOPLE_OF_A_GROUP and 2 * videos > len(names) else groups
