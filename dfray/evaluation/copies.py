"""Copies of one video among the measured ones: a video counts once in a dataset, and once in pooled figures.

Corpora hold each other's videos (the real videos of DF40 are Celeb-DF's), and folders hold copies. A copy
that counts again narrows every interval for nothing. Of equal videos of one label the first by video_id
counts: in each column, which needs its own real videos, the first of its dataset; in pooled figures the first
of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_COLUMNS = ("video_id", "dataset", "label", "n_faces", "faces_digest", "digest")


@dataclass(frozen=True)
class Copies:
    """video_ids of copies of a split.

    Attributes:
        of_dataset: an equal video of the same dataset counts: these are in no figure.
        pooled: an equal video of any dataset counts: these are in no pooled figure; all of `of_dataset`, too.
    """

    of_dataset: frozenset[str] = frozenset()
    pooled: frozenset[str] = frozenset()

    @classmethod
    def of(cls, summaries: pa.Table) -> Copies:
        """Return the copies among the videos of SUMMARIES, which are of one split.

        Videos are equal if all their faces are, or, if those were stored before there was a digest of them,
        the samples of their files. A video without a face is no copy: it has no score.
        """
        seen: set[tuple[Any, ...]] = set()
        of_dataset, pooled = set[str](), set[str]()
        for row in sorted(summaries.select(_COLUMNS).to_pylist(), key=lambda row: row["video_id"]):
            content = row["faces_digest"] or row["digest"]
            if not row["n_faces"] or content is None:
                continue
            key = (row["label"], row["faces_digest"] is None, content)
            for place, copies in ((row["dataset"], of_dataset), (None, pooled)):
                if (*key, place) in seen:
                    copies.add(row["video_id"])
                seen.add((*key, place))
        return cls(frozenset(of_dataset), frozenset(pooled))

    @classmethod
    def without(cls, summaries: pa.Table) -> pa.Table:
        """Return the videos of SUMMARIES with faces that are no copies in their dataset."""
        copies = pa.array(cls.of(summaries).of_dataset, pa.string())
        is_copy = pc.is_in(summaries["video_id"], copies)
        return summaries.filter(pc.and_not(pc.greater(summaries["n_faces"], 0), is_copy))
