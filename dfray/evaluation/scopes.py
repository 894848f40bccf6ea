"""Scopes: the videos that a figure is taken over, and the mean over columns, which decides.

Pooled over corpora, a scorer that knows only which corpus a video is from does well: it orders the corpora by
their shares of fakes. In each corpus it is at chance. So gates, the search and the choice of an epoch go by
the mean over columns, one for each dataset, and each column counts the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.bootstrap import Ranked
from dfray.evaluation.names import ALL_VIDEOS, mean_name
from dfray.evaluation.protocol import Protocol, ProtocolColumn
from dfray.evaluation.ranking_metrics import METRICS
from dfray.tables import FAKE, REAL


@dataclass(frozen=True)
class Scope:
    """Videos that one figure is taken over.

    Attributes:
        name: all videos, a dataset, a mean over columns, or protocol / scenario / column.
        parts: (weight, bool (V,)): the figure is the sum of the parts' own figures, each times its
            weight; one part of weight 1 but for means over methods or columns.
        required: it was named; False: it was found in the data.
    """

    name: str
    parts: tuple[tuple[float, np.ndarray], ...]
    required: bool = True

    @property
    def videos(self) -> np.ndarray:
        """bool (V,): those that are in any part."""
        mask: np.ndarray = np.any([mask for _, mask in self.parts], axis=0)
        return mask

    def fewest(self, labels: np.ndarray) -> int:
        """Return the number of videos in the smallest class of the smallest part."""
        return min(
            int(np.sum(mask & (labels == label)))
            for _, mask in self.parts
            for label in (REAL, FAKE)
        )


@dataclass(frozen=True)
class ScopeScores:
    """Scores of one model over the parts of a scope, ranked once for any number of resamples.

    Attributes:
        parts: (weight, bool (U,), the part's scores), over the U videos of the scope.
    """

    parts: tuple[tuple[float, np.ndarray, Ranked], ...]

    @classmethod
    def of(cls, scope: Scope, scores: np.ndarray, labels: np.ndarray, threshold: float) -> Self:
        """Rank the scores of the scope's videos.

        Args:
            scores, labels: float and int (V,), of all videos that the scope was made of.
            threshold: of the model.
        """
        in_scope = scope.videos
        return cls(
            tuple(
                (weight, mask[in_scope], Ranked(scores[mask], labels[mask] == FAKE, threshold))
                for weight, mask in scope.parts
            )
        )

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return every metric of METRICS, float64 (R,): the weighted sum over the parts.

        Args:
            counts: int (R, U), how often each video was drawn; some of either class in every part.
        """
        values = [(weight, ranked.metrics(counts[:, mask])) for weight, mask, ranked in self.parts]
        return {
            name: np.sum([weight * metrics[name] for weight, metrics in values], axis=0)
            for name in METRICS
        }

    def points(self) -> dict[str, float]:
        """Return every metric over the videos as they are."""
        once = np.ones((1, len(self.parts[0][1])), np.int64)
        return {name: float(value[0]) for name, value in self.metrics(once).items()}


@dataclass(frozen=True)
class Columns:
    """Columns that a model is judged by.

    Attributes:
        defined: those whose every part has videos of both classes.
        undefined: names of the others, of which there is no figure.
    """

    defined: tuple[Scope, ...]
    undefined: tuple[str, ...]

    @classmethod
    def of(cls, videos: pa.Table, protocol: Protocol | None = None) -> Self:
        """Return a column for each dataset of `videos`: the protocol's, else over all its videos.

        Of several columns of one dataset the protocol's first one that is not of a category counts.

        Args:
            videos: with the columns of VIDEO_SCORES; only scored ones.
        """
        corpus = _Corpus(videos)
        named = _column_of_dataset(protocol) if protocol else {}
        present = np.unique(corpus.dataset).tolist()
        scopes = [corpus.scope(column) for column in named.values() if column.dataset in present]
        scopes += [
            corpus.scope(ProtocolColumn(name=name, dataset=name))
            for name in present
            if name not in named
        ]
        defined = [scope for scope in scopes if scope.parts and scope.fewest(corpus.label)]
        names = {scope.name for scope in defined}
        return cls(tuple(defined), tuple(s.name for s in scopes if s.name not in names))

    @property
    def mean(self) -> Scope | None:
        """The mean over the defined columns, each of the same weight; None if there is none."""
        return _mean(self.defined, mean_name(len(self.defined)))

    def mean_of_large(self, labels: np.ndarray, n_videos: int) -> Scope | None:
        """Return the mean over the columns whose classes have so many videos in every part.

        If no column has, it is the mean over all.
        """
        large = [scope for scope in self.defined if scope.fewest(labels) >= n_videos]
        if len(large) in (0, len(self.defined)):
            return self.mean
        return _mean(large, f"mean over {len(large)} of {len(self.defined)} columns")


@dataclass(frozen=True)
class JudgedScores:
    """The columns of one model's scores, and its metrics in them.

    Attributes:
        mean: metric -> value, the mean over the defined columns; empty if none is defined.
        figures: metric -> value, of each defined column.
        fewest: videos in the smallest class of each defined column's smallest part.
    """

    columns: Columns
    mean: Mapping[str, float]
    figures: Sequence[Mapping[str, float]]
    fewest: Sequence[int]

    @classmethod
    def of(cls, videos: pa.Table, threshold: float, protocol: Protocol | None = None) -> Self:
        """Return them for VIDEO_SCORES or STORED_SCORES, of which those without a score do not count.

        Args:
            threshold: the model's own.
            protocol: as of `Columns.of`.
        """
        scored = videos.filter(is_scored(videos))
        labels = scored.column("label").to_numpy()
        scores = scored.column("fake_probability").to_numpy()
        columns = Columns.of(scored, protocol)

        def points(scope: Scope) -> dict[str, float]:
            return ScopeScores.of(scope, scores, labels, threshold).points()

        return cls(
            columns,
            points(columns.mean) if columns.mean else {},
            [points(scope) for scope in columns.defined],
            [scope.fewest(labels) for scope in columns.defined],
        )


def _mean(columns: Sequence[Scope], name: str) -> Scope | None:
    if not columns:
        return None
    parts = tuple(
        (weight / len(columns), mask) for scope in columns for weight, mask in scope.parts
    )
    covers_all = len(parts) == 1 and parts[0][1].all()
    return Scope(ALL_VIDEOS if covers_all else name, parts)


def comparison_scopes(
    videos: pa.Table,
    protocol: Protocol | None = None,
    compared: Sequence[Protocol] = (),
    *,
    min_per_class: int = 0,
) -> list[Scope]:
    """Return every scope that `videos` have something for; what covers the same videos is named once.

    The mean over columns is the first, if it is defined.

    Args:
        videos: with the columns of VIDEO_SCORES; only scored ones.
        protocol: gives the columns of the mean.
        compared: protocols whose columns are scopes of their own. A column whose dataset is not there is
            left out, and so is a mean over such columns.
        min_per_class: videos that a column of the mean has of each class.
    """
    corpus = _Corpus(videos)
    mean = Columns.of(videos, protocol).mean_of_large(corpus.label, min_per_class)
    scopes = [] if mean is None else [mean]
    for named in compared:
        scopes += _of_protocol(named, corpus)
    scopes += [
        Scope(str(name), ((1.0, corpus.dataset == name),), required=False)
        for name in np.unique(corpus.dataset)
    ]
    return list(_distinct(scopes))


def protocol_scopes(videos: pa.Table, protocol: Protocol) -> dict[tuple[str, str], Scope]:
    """Return heading of the protocol -> its scope, of those that `videos` have something for.

    Args:
        videos: with the columns of VIDEO_SCORES; only scored ones.
    """
    named = {scope.name: scope for scope in _of_protocol(protocol, _Corpus(videos))}
    keys = {heading: " / ".join((protocol.name, *heading)) for heading in protocol.headings}
    return {heading: named[key] for heading, key in keys.items() if key in named}


def absent_columns(videos: pa.Table, protocol: Protocol) -> list[str]:
    """Return `scenario / column` of the protocol's columns that `videos` have nothing for."""
    corpus = _Corpus(videos)
    return [
        f"{scenario.name} / {column.name}"
        for scenario in protocol.scenarios
        for column in scenario.columns
        if not corpus.masks(column)
    ]


class _Corpus:
    """Arrays of the table columns that scopes are made by."""

    def __init__(self, videos: pa.Table) -> None:
        self.label = videos.column("label").to_numpy()
        self.dataset, self.method, self.category = (
            np.asarray(videos.column(name).to_pylist(), str)
            for name in ("dataset", "method", "category")
        )

    def masks(self, column: ProtocolColumn) -> list[np.ndarray]:
        """Return a bool (V,) of the dataset, or of each of its fake methods with all its real videos."""
        mask = self.dataset == column.dataset
        if column.over == "videos":
            return [mask] if mask.any() else []
        fakes = mask & (self.label == FAKE)
        if column.category:
            fakes &= self.category == column.category
        real = mask & (self.label == REAL)
        return [real | (fakes & (self.method == name)) for name in np.unique(self.method[fakes])]

    def scope(self, column: ProtocolColumn, prefix: str = "") -> Scope:
        """Return the scope of a column; without parts, if there is no video for it."""
        masks = self.masks(column)
        return Scope(prefix + column.name, tuple((1 / len(masks), mask) for mask in masks))


def _column_of_dataset(protocol: Protocol) -> dict[str, ProtocolColumn]:
    """Return dataset -> the column that it is judged by."""
    columns = [column for scenario in protocol.scenarios for column in scenario.columns]
    return {c.dataset: c for c in reversed(columns) if c.category is None}


def _of_protocol(protocol: Protocol, corpus: _Corpus) -> Iterable[Scope]:
    for scenario in protocol.scenarios:
        prefix = f"{protocol.name} / {scenario.name} / "
        scopes = [corpus.scope(column, prefix) for column in scenario.columns]
        columns = [scope for scope in scopes if scope.parts]
        yield from columns
        if scenario.average and len(columns) == len(scenario.columns):
            parts = tuple(
                (weight / len(columns), mask) for scope in columns for weight, mask in scope.parts
            )
            yield Scope(prefix + scenario.average, parts)


def _distinct(scopes: Iterable[Scope]) -> Iterable[Scope]:
    keys = set()
    for scope in scopes:
        key = tuple((weight, mask.tobytes()) for weight, mask in scope.parts)
        if key not in keys:
            keys.add(key)
            yield scope
