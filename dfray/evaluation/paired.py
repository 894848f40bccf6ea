"""Two models on the same videos: how far apart they are, and how sure that is.

A paired bootstrap: both models are measured on the same resample, so what makes a video hard for both does
not count. What is drawn is a person with all their videos (or the source video, where the corpus does not
tell people apart): fakes of one person are alike, and drawn one by one they would pass for more evidence
than they are. People with real and fake videos, with real ones only and with fake ones only are drawn
apart, so no resample lacks a class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.errors import EvaluationError
from dfray.evaluation.aggregate import VIDEO_SCORES, is_scored
from dfray.evaluation.bootstrap import CHUNK, Ranked, draw, percentile_interval
from dfray.evaluation.protocol import Protocol, ProtocolColumn
from dfray.tables import FAKE, REAL, Column, TableSpec

STORED_SCORES = TableSpec(
    "kept scores",
    (
        *VIDEO_SCORES.columns,
        Column("person", pa.string(), "videos of one person or one source are resampled together"),
    ),
)
"""What a model said of every video of an evaluation set, for comparisons to come."""

COMPARED = ("auc", "balanced_accuracy")
_LEAST = 0.9
"""Share of the resamples in which every part of a scope must have both classes."""


@dataclass(frozen=True)
class Difference:
    """One metric of two models over one scope, and the interval of candidate - champion."""

    candidate: float
    champion: float
    low: float
    high: float
    n_real: int
    n_fake: int
    n_persons: int


@dataclass(frozen=True)
class Pair:
    """Two models' scores of the same videos, row by row.

    Attributes:
        videos: STORED_SCORES of the candidate, scored videos only.
        scores: float64 (V,) of the candidate and of the champion.
        thresholds: each model's own.
    """

    videos: pa.Table
    scores: tuple[np.ndarray, np.ndarray]
    thresholds: tuple[float, float]

    @property
    def labels(self) -> np.ndarray:
        labels: np.ndarray = self.videos.column("label").to_numpy()
        return labels


def with_persons(videos: pa.Table, summaries: pa.Table) -> pa.Table:
    """STORED_SCORES from VIDEO_SCORES and the SUMMARIES, which tell the people."""
    columns = [summaries.column(name).to_pylist() for name in ("identity", "source_video")]
    keys = summaries.column("video_id").to_pylist()
    person = {
        key: identity or source or key for key, identity, source in zip(keys, *columns, strict=True)
    }
    of_row = [person[key] for key in videos.column("video_id").to_pylist()]
    return STORED_SCORES.conform(videos.append_column("person", pa.array(of_row)), "video scores")


def pair_scores(
    candidate: pa.Table, champion: pa.Table, candidate_threshold: float, champion_threshold: float
) -> Pair:
    """The videos that both models scored, in the same order.

    Raises:
        EvaluationError: the two are not of the same videos.
    """
    tables = [
        STORED_SCORES.conform(table, "kept scores").sort_by("video_id")
        for table in (candidate, champion)
    ]
    ids = [table.column("video_id").to_pylist() for table in tables]
    if ids[0] != ids[1]:
        odd = sorted(set(ids[0]) ^ set(ids[1]))
        raise EvaluationError(
            f"The two models were scored on different videos: {len(odd)} are of one of them only"
            + (f", such as {odd[0]}." if odd else "."),
            "Evaluate both on the same split.",
        )
    scored = is_scored(tables[0]) & is_scored(tables[1])
    rows = [table.filter(pa.array(scored)) for table in tables]
    first, second = (table.column("fake_probability").to_numpy() for table in rows)
    return Pair(rows[0], (first, second), (candidate_threshold, champion_threshold))


def paired_differences(
    pair: Pair, scope: Scope, *, resamples: int, confidence: float, seed: int
) -> dict[str, Difference]:
    """The difference of each metric in COMPARED over `scope`.

    Raises:
        EvaluationError: too many resamples leave a part of the scope without a class.
    """
    in_scope = scope.videos
    labels = pair.labels[in_scope]
    persons = np.asarray(pair.videos.column("person").to_pylist())[in_scope]
    names, person_of = np.unique(persons, return_inverse=True)
    models = [
        [
            (weight, mask[in_scope], Ranked(scores[mask], pair.labels[mask] == FAKE, threshold))
            for weight, mask in scope.parts
        ]
        for scores, threshold in zip(pair.scores, pair.thresholds, strict=True)
    ]
    gaps = _gaps(models, labels, person_of, resamples, seed)
    points = [_figures(parts, np.ones((1, len(labels)), np.int64)) for parts in models]
    differences = {}
    for name in COMPARED:
        low, high = percentile_interval(gaps[name], confidence)
        candidate, champion = (float(point[name][0]) for point in points)
        differences[name] = Difference(
            candidate,
            champion,
            low,
            high,
            n_real=int(np.sum(labels == REAL)),
            n_fake=int(np.sum(labels == FAKE)),
            n_persons=len(names),
        )
    return differences


_Parts = list[tuple[float, np.ndarray, Ranked]]


def _gaps(
    models: list[_Parts], labels: np.ndarray, person_of: np.ndarray, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """candidate - champion of each metric, float64 (R,), over the resamples that have both classes."""
    has = [np.bincount(person_of, weights=labels == label) > 0 for label in (REAL, FAKE)]
    strata = has[0] + 2 * has[1]
    rows = max(1, CHUNK // len(labels))
    chunks: list[dict[str, np.ndarray]] = []
    for drawn in draw(strata, resamples, rows, np.random.default_rng(seed)):
        counts = drawn[:, person_of]
        counts = counts[_whole(counts, models[0], labels)]
        candidate, champion = (_figures(model, counts) for model in models)
        chunks.append({name: candidate[name] - champion[name] for name in COMPARED})
    gaps = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in COMPARED}
    if len(gaps[COMPARED[0]]) < _LEAST * resamples:
        raise EvaluationError("too few people for an interval: resamples lack a class")
    return gaps


def _whole(counts: np.ndarray, parts: _Parts, labels: np.ndarray) -> np.ndarray:
    """bool (R,): the resamples in which every part has both classes."""
    complete = np.ones(len(counts), bool)
    for _, mask, _ in parts:
        for label in (REAL, FAKE):
            complete &= counts[:, mask & (labels == label)].sum(axis=1) > 0
    return complete


def _figures(parts: _Parts, counts: np.ndarray) -> dict[str, np.ndarray]:
    """The scope's figures, float64 (R,): the weighted sum over its parts."""
    values = [(weight, ranked.metrics(counts[:, mask])) for weight, mask, ranked in parts]
    return {
        name: np.sum([weight * metrics[name] for weight, metrics in values], axis=0)
        for name in COMPARED
    }


@dataclass(frozen=True)
class Scope:
    """Videos that one figure is taken over.

    Attributes:
        name: as it is told: all videos, a dataset, or protocol / scenario / column.
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
        """Videos of the smallest class of its smallest part."""
        return min(
            int(np.sum(mask & (labels == label)))
            for _, mask in self.parts
            for label in (REAL, FAKE)
        )


def comparison_scopes(videos: pa.Table, protocols: Sequence[Protocol] = ()) -> list[Scope]:
    """Every scope that `videos` have something for; what covers the same videos is named once.

    Args:
        videos: with the columns of VIDEO_SCORES; only scored ones.
        protocols: a column whose dataset is not there is left out, and so is a mean over such columns.
    """
    corpus = _Corpus(videos)
    scopes = [Scope("all videos", ((1.0, np.ones(len(corpus.label), bool)),))]
    for protocol in protocols:
        scopes += _of_protocol(protocol, corpus)
    scopes += [
        Scope(str(name), ((1.0, corpus.dataset == name),), required=False)
        for name in np.unique(corpus.dataset)
    ]
    return list(_distinct(scopes))


def absent_columns(videos: pa.Table, protocol: Protocol) -> list[str]:
    """`scenario / column` of the protocol's columns that `videos` have nothing for."""
    corpus = _Corpus(videos)
    return [
        f"{scenario.name} / {column.name}"
        for scenario in protocol.scenarios
        for column in scenario.columns
        if not corpus.masks(column)
    ]


class _Corpus:
    """The columns that scopes are made by, as arrays."""

    def __init__(self, videos: pa.Table) -> None:
        self.label = videos.column("label").to_numpy()
        self.dataset, self.method, self.category = (
            np.asarray(videos.column(name).to_pylist(), str)
            for name in ("dataset", "method", "category")
        )

    def masks(self, column: ProtocolColumn) -> list[np.ndarray]:
        """bool (V,) of the column's dataset, or of each of its fake methods with all its real videos."""
        mask = self.dataset == column.dataset
        if column.over == "videos":
            return [mask] if mask.any() else []
        fakes = mask & (self.label == FAKE)
        if column.category:
            fakes &= self.category == column.category
        real = mask & (self.label == REAL)
        return [real | (fakes & (self.method == name)) for name in np.unique(self.method[fakes])]


def _of_protocol(protocol: Protocol, corpus: _Corpus) -> Iterable[Scope]:
    for scenario in protocol.scenarios:
        columns = []
        for column in scenario.columns:
            masks = corpus.masks(column)
            parts = tuple((1 / len(masks), mask) for mask in masks)
            if parts:
                columns.append(Scope(f"{protocol.name} / {scenario.name} / {column.name}", parts))
        yield from columns
        if scenario.average and len(columns) == len(scenario.columns):
            parts = tuple(
                (weight / len(columns), mask) for scope in columns for weight, mask in scope.parts
            )
            yield Scope(f"{protocol.name} / {scenario.name} / {scenario.average}", parts)


def _distinct(scopes: Iterable[Scope]) -> Iterable[Scope]:
    keys = set()
    for scope in scopes:
        key = tuple((weight, mask.tobytes()) for weight, mask in scope.parts)
        if key not in keys:
            keys.add(key)
            yield scope
