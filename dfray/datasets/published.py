"""What a corpus should hold: the counts its users published, to check a reader's finds against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

TABLE_1 = "arXiv 2508.19730, Table 1"
TABLE_2 = "arXiv 2508.19730, Table 2"


@dataclass(frozen=True)
class Published:
    """Videos of a corpus by split and by class, after its rules; 0 splits: not told.

    Attributes:
        source: where the counts stand.
    """

    source: str
    real: int
    fake: int
    train: int = 0
    val: int = 0
    test: int = 0

    def parts(self) -> list[tuple[str, int]]:
        """(part, videos) of what is told."""
        splits = [("train", self.train), ("val", self.val), ("test", self.test)]
        told = [(part, count) for part, count in splits if count]
        return [*told, ("real", self.real), ("fake", self.fake), ("all", self.real + self.fake)]


@dataclass(frozen=True)
class Comparison:
    """One part of one corpus: how many videos of it are there, and how many there should be."""

    dataset: str
    part: str
    found: int
    published: int
    source: str

    @property
    def share(self) -> float:
        return self.found / self.published


def compare(videos: pa.Table, published: dict[str, Published]) -> list[Comparison]:
    """Every part of the corpora whose counts are published, by dataset.

    Args:
        videos: VIDEOS.
        published: by the dataset's name in `videos`.
    """
    found: Counter[tuple[str, str]] = Counter()
    names = videos.column("dataset").to_pylist()
    for name, split, label in zip(
        names, videos.column("split").to_pylist(), videos.column("label").to_pylist(), strict=True
    ):
        found.update([(name, split), (name, "fake" if label else "real"), (name, "all")])
    return [
        Comparison(name, part, found[name, part], count, expected.source)
        for name, expected in published.items()
        for part, count in expected.parts()
    ]
