"""What a corpus should hold: the counts its users published, to check a reader's finds against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from dfray.config import CorpusSection
from dfray.tables import SPLITS

TABLE_1 = "arXiv 2508.19730, Table 1"
TABLE_2 = "arXiv 2508.19730, Table 2"


@dataclass(frozen=True)
class Published:
    """Videos of a corpus by split and by class, after its rules; 0: not told.

    Attributes:
        source: where the counts stand.
        real_faces: sampled of the real videos of its training split, one a second; none was left out.
    """

    source: str
    real: int
    fake: int
    train: int = 0
    val: int = 0
    test: int = 0
    real_faces: int = 0

    @property
    def length_s(self) -> float | None:
        """Mean length of a video, as `real_faces` tell it, if every split has the same share of fakes."""
        if not self.real_faces:
            return None
        return self.real_faces / (self.train * self.real / (self.real + self.fake))

    def parts(self) -> list[tuple[str, int]]:
        """(part, videos) of what is told."""
        splits = [(name, getattr(self, name)) for name in SPLITS]
        classes = [("real", self.real), ("fake", self.fake), ("all", self.real + self.fake)]
        return [(part, count) for part, count in splits + classes if count]

    def taken(self, corpus: CorpusSection) -> Published:
        """What can be told of the videos that a recipe takes: of some splits alone (`only`) not how many
        are real, of videos put into another split (`split`) not how many a split has."""
        kept = () if corpus.split else corpus.only or SPLITS
        untold: dict[str, Any] = {name: 0 for name in SPLITS if name not in kept}
        if corpus.only:
            untold |= {"real": 0, "fake": 0}
        return replace(self, **untold)


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
