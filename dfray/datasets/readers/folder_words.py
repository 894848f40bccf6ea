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
CATEGORY_OF = {"real": "real", "fake": "fake", "fs": "FS", "re": "RE"}
_IN_NAMES = {"real": "real", "fake": "fake"}
"""Class words that count inside a longer name too; `re` and `fs` would be found by chance."""
SEVERAL_SPLITS = "several split words in its path: the outermost counts"
SEVERAL_CLASSES = "real and fake in its path: the outermost counts"
_SEPARATORS = re.compile(r"[_\-. ]+")


@dataclass(frozen=True)
class FolderWords:
    """Meaning of a path's folders.

    Attributes:
        split: train, val or test, or None if no folder says so.
        category: real, fake, FS or RE, or None if no folder says so.
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
    splits, classes = _places(folders, SPLIT_OF, SPLIT_OF), _places(folders, CATEGORY_OF, _IN_NAMES)
    split, category = next(iter(splits.items()), None), next(iter(classes.items()), None)
    words = SPLIT_OF.keys() | CATEGORY_OF.keys()
    named = {
        place
        for place, _ in filter(None, (split, category))
        if words.issuperset(_parts(folders[place]))
    }
    remarks = []
    if len(set(splits.values())) > 1:
        remarks.append(SEVERAL_SPLITS)
    if len({name == "real" for name in classes.values()}) > 1:
        remarks.append(SEVERAL_CLASSES)
    return FolderWords(
        split and split[1],
        category and category[1],
        "/".join(name for place, name in enumerate(folders) if place not in named),
        tuple(remarks),
    )


def _places(
    folders: Sequence[str], words: Mapping[str, str], inside: Mapping[str, str]
) -> dict[int, str]:
    """Return place in `folders` -> meaning: of the folders that are a word, or else of those that hold one.

    Args:
        inside: words that count within a longer name.
    """
    exact = {k: words[name.lower()] for k, name in enumerate(folders) if name.lower() in words}
    if exact:
        return exact
    held = {k: [inside[w] for w in _parts(name) if w in inside] for k, name in enumerate(folders)}
    return {k: meanings[0] for k, meanings in held.items() if len(set(meanings)) == 1}


def _parts(folder: str) -> list[str]:
    return [part for part in _SEPARATORS.split(folder.lower()) if part]
