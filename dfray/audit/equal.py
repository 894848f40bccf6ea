"""Videos of equal content, whatever their names, and the splits that they lie in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

TRAINED = ("train", "val")
"""Splits that train a model or choose between models."""


@dataclass(frozen=True)
class Member:
    """A video of a group.

    Attributes:
        label: 0 real, 1 fake.
    """

    video_id: str
    dataset: str
    split: str
    label: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the video of a row of VIDEOS or SUMMARIES."""
        return cls(row["video_id"], row["dataset"], row["split"], row["label"])


@dataclass(frozen=True)
class EqualVideos:
    """Two or more videos of equal content.

    Attributes:
        by: what is equal: the bytes of their files, or the faces that were extracted.
    """

    members: tuple[Member, ...]
    by: str

    @property
    def crosses(self) -> bool:
        """True if one is trained on, or chooses, and another is tested on."""
        splits = {member.split for member in self.members}
        return "test" in splits and not splits.isdisjoint(TRAINED)

    @property
    def contradicts(self) -> bool:
        """True if one is labelled real and another fake."""
        return len({member.label for member in self.members}) > 1

    def __str__(self) -> str:
        return " = ".join(f"{member.video_id} ({member.split})" for member in self.members)


def grouped(
    keys: Iterable[Hashable | None], members: Iterable[Mapping[str, Any]], by: str
) -> list[EqualVideos]:
    """Return the groups of videos with the same key; None is a key of its own each time.

    Args:
        members: rows with the fields of `Member`, in the order of the keys.
    """
    groups: defaultdict[Hashable, list[Member]] = defaultdict(list)
    for key, row in zip(keys, members, strict=True):
        if key is not None:
            groups[key].append(Member.of(row))
    found = (
        EqualVideos(tuple(sorted(group, key=_order)), by)
        for group in groups.values()
        if len(group) > 1
    )
    return sorted(found, key=lambda group: (not group.crosses, group.members[0].video_id))


def _order(member: Member) -> tuple[int, str]:
    return (*TRAINED, "test").index(member.split), member.video_id
