"""Differences of models from the first one in a protocol's columns, paired on the same videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from dfray.errors import EvaluationError
from dfray.evaluation.paired import Difference, Pair, pair_scores, paired_differences
from dfray.evaluation.protocol import ColumnMetrics, Protocol
from dfray.evaluation.scopes import Scope, protocol_scopes

_SEED = 0
_RESAMPLES = 2000
_LEAST = 5
"""Videos of a class that an interval of a column needs."""


@dataclass(frozen=True)
class ScoredVideos:
    """Scores of one model.

    Attributes:
        videos: STORED_SCORES of all videos of the evaluation set, those without a score too.
        threshold: the model's own.
    """

    name: str
    videos: pa.Table
    threshold: float


@dataclass(frozen=True)
class PairedRow:
    """Differences of one model from another in AUC, in the order of the protocol's headings.

    Attributes:
        cells: None: not defined, or too few videos for an interval.
    """

    name: str
    reference: str
    cells: list[Difference | None]


def paired_rows(
    protocol: Protocol, models: Sequence[ScoredVideos], confidence: float
) -> list[PairedRow]:
    """Return the differences of every model but the first from the first.

    A column is over the videos that both have scored.

    Args:
        confidence: of the two-sided intervals.

    Raises:
        EvaluationError: two were scored on different videos.
    """
    return [
        PairedRow(model.name, models[0].name, _cells(protocol, model, models[0], confidence))
        for model in models[1:]
    ]


def _cells(
    protocol: Protocol, model: ScoredVideos, reference: ScoredVideos, confidence: float
) -> list[Difference | None]:
    pair = pair_scores(model.videos, reference.videos, model.threshold, reference.threshold)
    scopes = protocol_scopes(pair.videos, protocol)
    return [_difference(pair, scopes.get(heading), confidence) for heading in protocol.headings]


def _difference(pair: Pair, scope: Scope | None, confidence: float) -> Difference | None:
    if scope is None or scope.fewest(pair.labels) < _LEAST:
        return None
    try:
        found = paired_differences(
            pair, scope, resamples=_RESAMPLES, confidence=confidence, seed=_SEED
        )
    except EvaluationError:
        return None
    return found["auc"]


def with_training_notes(
    protocol: Protocol, figures: Sequence[ColumnMetrics], name: str, datasets: Sequence[str]
) -> list[ColumnMetrics]:
    """Return a model's figures, with a note on each that rests on a corpus of its training.

    Args:
        figures: in the order of the protocol's headings.
        datasets: of the training, as in manifests.
    """
    noted = iter(figures)
    result = []
    for scenario in protocol.scenarios:
        trained = [column.dataset in datasets for column in scenario.columns]
        sentences = [
            f"{name} was trained on {column.dataset}: no test of how it generalises"
            if known
            else ""
            for column, known in zip(scenario.columns, trained, strict=True)
        ]
        if scenario.average:
            of = f"the mean has columns of corpora that {name} was trained on"
            sentences.append(of if any(trained) else "")
        result += [_noted(next(noted), sentence) for sentence in sentences]
    return result


def _noted(figure: ColumnMetrics, sentence: str) -> ColumnMetrics:
    if not sentence or figure.auc is None:
        return figure
    return replace(figure, note="; ".join(filter(None, (figure.note, sentence))))
