"""Words of a path that give a video's split and class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SPLIT_OF = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
CATEGORY_OF = {"real": "real", "fake": "fake", "fs": "FS", "re": "RE", "tf": "TF"}
_IN_NAMES = {"real": "real", "fake": "fake"}
"""Class words that count inside a longer name too; `re`, `fs` and `tf` would be found by chance."""
SEVERAL_SPLITS = "several split words in its path: the outermost counts"
SEVERAL_CLASSES = "real and fake in its path: the outermost counts"
_SEPARATORS = re.compile(r"[_\-. ]+")


@dataclass(frozen=True)
class FolderWords:
    """Meaning of a path's folders.

    Attributes:
        split: train, val or test, or None if no folder says so.
        category: real, fake, FS, RE or TF, or None if no folder says so.
        method: the other folders, joined by slashes; may be empty.
        remarks: decisions between words that contradict each other.
    """

    split: str | None
    category: str | None
    method: str
    remarks: tuple[str, ...]


def folder_words(folders: Sequence[str]) -> FolderWords:
    """Return the meaning of `folders`, the outermost first.

    A folder that is such a word, in any case, counts before one that has it in its name (`test_clips`,
    `real_train`); a name with other words in it belongs to the method as well.
    """
    splits = _places(folders, SPLIT_OF, SPLIT_OF)
    categories = _places(folders, CATEGORY_OF, _IN_NAMES)
    split, category = next(iter(splits.items()), None), next(iter(categories.items()), None)
    places = {pair[0] for pair in (split, category) if pair and _is_all_words(folders[pair[0]])}
    remarks = []
    if len(set(splits.values())) > 1:
        remarks.append(SEVERAL_SPLITS)
    if len({name == "real" for name in categories.values()}) > 1:
        remarks.append(SEVERAL_CLASSES)
    return FolderWords(
        split and split[1],
        category and category[1],
        "/".join(name for place, name in enumerate(folders) if place not in places),
        tuple(remarks),
    )


def _places(
    folders: Sequence[str], meanings: Mapping[str, str], inside: Mapping[str, str]
) -> dict[int, str]:
    """Return place in `folders` -> meaning: of the folders that are a word, or else of those that hold one.

    Args:
        inside: words that count within a longer name.
    """
    exact = {
        k: meanings[name.lower()] for k, name in enumerate(folders) if name.lower() in meanings
    }
    if exact:
        return exact
    within = {k: {inside[w] for w in _split(name) if w in inside} for k, name in enumerate(folders)}
    return {k: next(iter(names)) for k, names in within.items() if len(names) == 1}


def _is_all_words(folder: str) -> bool:
    return (SPLIT_OF.keys() | CATEGORY_OF.keys()).issuperset(_split(folder))


def _split(folder: str) -> list[str]:
    return [word for word in _SEPARATORS.split(folder.lower()) if word]
