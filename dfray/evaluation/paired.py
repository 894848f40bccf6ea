"""Two models on the same videos: how far apart they are, and how sure that is.

A paired bootstrap: both models are measured on the same resample, so what makes a video hard for both does
not count. What is drawn is a person with all their videos (or the source video, where the corpus does not
tell people apart): fakes of one person are alike, and drawn one by one they would pass for more evidence
than they are. People with real and fake videos, with real ones only and with fake ones only are drawn
apart, so no resample lacks a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.errors import EvaluationError
from dfray.evaluation.aggregate import VIDEO_SCORES, is_scored
from dfray.evaluation.bootstrap import CHUNK, draw, percentile_interval
from dfray.evaluation.scopes import Scope, ScopeScores
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
    """STORED_SCORES from VIDEO_SCORES and the SUMMARIES, which tell the people.

    A video without a summary, as it was never extracted, has no score: it is of nobody else.
    """
    columns = [summaries.column(name).to_pylist() for name in ("identity", "source_video")]
    keys = summaries.column("video_id").to_pylist()
    person = {
        key: identity or source or key for key, identity, source in zip(keys, *columns, strict=True)
    }
    of_row = [person.get(key, key) for key in videos.column("video_id").to_pylist()]
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
        ScopeScores.of(scope, scores, pair.labels, threshold)
        for scores, threshold in zip(pair.scores, pair.thresholds, strict=True)
    ]
    gaps = _gaps(models, labels, person_of, resamples, seed)
    candidate, champion = (model.points() for model in models)
    differences = {}
    for name in COMPARED:
        low, high = percentile_interval(gaps[name], confidence)
        differences[name] = Difference(
            candidate[name],
            champion[name],
            low,
            high,
            n_real=int(np.sum(labels == REAL)),
            n_fake=int(np.sum(labels == FAKE)),
            n_persons=len(names),
        )
    return differences


def _gaps(
    models: list[ScopeScores], labels: np.ndarray, person_of: np.ndarray, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return candidate - champion of each metric, float64 (R,), of the resamples with both classes."""
    has = [np.bincount(person_of, weights=labels == label) > 0 for label in (REAL, FAKE)]
    strata = has[0] + 2 * has[1]
    rows = max(1, CHUNK // len(labels))
    chunks: list[dict[str, np.ndarray]] = []
    for drawn in draw(strata, resamples, rows, np.random.default_rng(seed)):
        counts = drawn[:, person_of]
        counts = counts[_whole(counts, models[0], labels)]
        candidate, champion = (model.metrics(counts) for model in models)
        chunks.append({name: candidate[name] - champion[name] for name in COMPARED})
    gaps = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in COMPARED}
    if len(gaps[COMPARED[0]]) < _LEAST * resamples:
        raise EvaluationError("too few people for an interval: resamples lack a class")
    return gaps


def _whole(counts: np.ndarray, scores: ScopeScores, labels: np.ndarray) -> np.ndarray:
    """Return a bool (R,): the resamples in which every part has both classes."""
    complete = np.ones(len(counts), bool)
    for _, mask, _ in scores.parts:
        for label in (REAL, FAKE):
            complete &= counts[:, mask & (labels == label)].sum(axis=1) > 0
    return complete
