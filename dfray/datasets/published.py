"""Published counts of a corpus's videos, compared with the videos that its reader finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

import pyarrow as pa

from dfray.config import CorpusSection
from dfray.tables import SPLITS

TABLE_1 = "arXiv 2508.19730, Table 1"
TABLE_2 = "arXiv 2508.19730, Table 2"


@dataclass(frozen=True)
class Published:
    """Numbers of videos of a corpus by split and by class, after its rules; 0: not published.

    Attributes:
        source: the publication.
        real_faces: faces sampled of the real videos of its training split, one a second; all are counted.
        n_methods: methods that have the same number of fakes each, in every split.
    """

    source: str
    real: int
    fake: int
    train: int = 0
    val: int = 0
    test: int = 0
    real_faces: int = 0
    n_methods: int = 0

    @property
    def length_s(self) -> float | None:
        """Mean length of a video by `real_faces`, if every split has the same share of fakes."""
        if not self.real_faces:
            return None
        return self.real_faces / (self.train * self.real / (self.real + self.fake))

    def may_have(self, splits: Collection[str]) -> bool:
        """Return True unless all videos are published as of other splits."""
        elsewhere: int = sum(getattr(self, name) for name in SPLITS if name not in splits)
        return elsewhere < self.real + self.fake

    def counts(self) -> list[tuple[str, int]]:
        """Return (subset, videos) for every split and class that is published."""
        splits = [(name, getattr(self, name)) for name in SPLITS]
        n_all = self.real + self.fake if self.fake else 0
        classes = [("real", self.real), ("fake", self.fake), ("all", n_all)]
        return [(subset, count) for subset, count in splits + classes if count]

    def restricted_to(self, corpus: CorpusSection) -> Published:
        """Return the counts that still hold for the videos that a recipe uses of the corpus.

        For some splits alone (`only`) the number of real videos is not published; for videos that the
        recipe assigns to another split (`split`) the sizes of splits are not; for some methods only if all
        have as many fakes.
        """
        result = self.of_methods(len(corpus.methods)) if corpus.methods else self
        result = result if not corpus.only else replace(result, real=0, fake=0)
        splits = () if corpus.split else corpus.only or SPLITS
        return replace(
            result,
            train=result.train if "train" in splits else 0,
            val=result.val if "val" in splits else 0,
            test=result.test if "test" in splits else 0,
        )

    def of_methods(self, count: int) -> Published:
        """Return the counts of the real videos and the fakes of `count` methods, as far as they hold."""
        if not self.n_methods:
            return replace(self, fake=0, train=0, val=0, test=0)
        fake = self.fake * count // self.n_methods
        share = (self.real + fake) / (self.real + self.fake)
        train, val, test = (round(n * share) for n in (self.train, self.val, self.test))
        return replace(self, fake=fake, train=train, val=val, test=test)


@dataclass(frozen=True)
class Comparison:
    """The number of videos of one subset (a split, a class or all) of a corpus, and the published one."""

    dataset: str
    subset: str
    videos: int
    published: int
    source: str

    @property
    def share(self) -> float:
        return self.videos / self.published


def compare_counts(videos: pa.Table, published: dict[str, Published]) -> list[Comparison]:
    """Compare every subset whose count is published, by dataset.

    Args:
        videos: VIDEOS.
        published: by the dataset's name in `videos`.
    """
    counts: Counter[tuple[str, str]] = Counter()
    names = videos.column("dataset").to_pylist()
    for name, split, label in zip(
        names, videos.column("split").to_pylist(), videos.column("label").to_pylist(), strict=True
    ):
        counts.update([(name, split), (name, "fake" if label else "real"), (name, "all")])
    return [
        Comparison(name, subset, counts[name, subset], count, expected.source)
        for name, expected in published.items()
        for subset, count in expected.counts()
    ]
