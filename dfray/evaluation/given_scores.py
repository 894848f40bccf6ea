"""Scores of videos in a file: of `dfray score --out`, or of any other detector.

A row names a video (`uri`, `video` or `input`) and has its `fake_probability` or `score`, 0..1, empty without
one. Of other columns those of `dfray score` are read: `outcome`, `reason`, `n_faces`, and the model with its
threshold.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from dfray import storage
from dfray.config import UNFITTED_THRESHOLD
from dfray.datasets.named_rows import named_rows, place_in
from dfray.errors import UserError
from dfray.tables import Row
from dfray.text import csv_text

PROBABILITIES = ("fake_probability", "score")
NO_SCORE = ("no_face", "unreadable", "crashed", "timed_out")
_OF_MODEL = ("model", "version", "checksum", "threshold", "threshold_origin")
_WANTED = (*PROBABILITIES, "outcome", "reason", "n_faces", *_OF_MODEL)


@dataclass(frozen=True)
class GivenScore:
    """Score of one video.

    Attributes:
        probability: of a fake, 0..1; None: there is none.
        status: ok, or why there is no score: one of NO_SCORE.
        reason: the same in words.
        n_faces: that were scored, as far as it is stated.
    """

    probability: float | None
    status: str
    reason: str | None
    n_faces: int


@dataclass(frozen=True)
class GivenScores:
    """Scores of a file, all of one detector.

    Attributes:
        uri: of the file.
        detector: its name: models:/NAME/VERSION, or the file's.
        threshold: fake at or above it.
        threshold_origin: where it comes from.
        by_key: key of a video -> its score; see `key_of`.
        n_repeated: rows beside the first of their video, with the same score.
    """

    uri: str
    detector: str
    threshold: float
    threshold_origin: str
    by_key: dict[str, GivenScore]
    n_repeated: int = 0

    def key_of(self, place: str) -> str:
        """Return the key of a video at this path or URI: a CSV of dfray has no control character."""
        return csv_text(place) if self.uri.lower().endswith(".csv") else place


def read_given_scores(uri: str, threshold: float | None = None) -> GivenScores:
    """Return the scores in a CSV, Parquet or JSON-lines file.

    Args:
        threshold: of the detector; by default the one that the file states, or else UNFITTED_THRESHOLD.

    Raises:
        UserError: it is no such file, has scores of several models, two scores of a video, or one that is no
            number in 0..1.
    """
    place = storage.absolute(uri)
    models: Counter[tuple[Any, ...]] = Counter()
    by_key: dict[str, GivenScore] = {}
    n_rows = 0
    for n_rows, row in enumerate(named_rows(place, _WANTED), 1):
        models[tuple(row.get(name) for name in _OF_MODEL)] += 1
        key, found = place_in(row, place, n_rows), _score(row, place, n_rows)
        if by_key.setdefault(key, found).probability != found.probability:
            raise UserError(
                f"{uri}, row {n_rows}: {key} has two scores, {_said(by_key[key])} and {_said(found)}.",
                "Keep one row for each video.",
            )
    if not n_rows:
        raise UserError(f"{uri} has no rows.", "Give a file with a row for each scored video.")
    detector, stored, origin = _only_model(models, uri)
    if threshold is not None:
        stored, origin = threshold, "given with the scores"
    return GivenScores(place, detector, stored, origin, by_key, n_rows - len(by_key))


def _score(row: Row, uri: str, number: int) -> GivenScore:
    column = next((name for name in PROBABILITIES if name in row), None)
    if column is None:
        raise UserError(
            f"{uri} has no column {' or '.join(PROBABILITIES)}.",
            "Give the probability of a fake, 0..1, in a column `fake_probability`.",
        )
    probability = _number(row[column], f"{uri}, row {number}: {column}")
    n_faces = _count(row.get("n_faces"), f"{uri}, row {number}: n_faces")
    if probability is not None:
        return GivenScore(probability, "ok", None, n_faces)
    stated = str(row.get("outcome") or "")
    status = stated if stated in NO_SCORE else "unreadable"
    reason = str(row.get("reason") or stated.replace("_", " ") or f"{column} is empty")
    return GivenScore(None, status, reason, n_faces)


def _count(value: object, where: str) -> int:
    """Return a number of faces; 0 for an empty cell or no number (NaN). Tables may have it as 3.0."""
    number = _float(value)
    if math.isnan(number):
        return 0
    if number < 0 or not number.is_integer():
        raise UserError(f"{where} is {value!r}, which is no number of faces.", "Give 0 or more.")
    return int(number)


def _number(value: object, where: str) -> float | None:
    """Return a probability; None for an empty cell or no number (NaN)."""
    number = _float(value)
    if math.isnan(number):
        return None
    if not 0 <= number <= 1:
        raise UserError(
            f"{where} is {value!r}, which is no number in 0..1.",
            "Give probabilities of a fake; of logits their sigmoid.",
        )
    return number


def _float(value: object) -> float:
    """Return the number in a cell; NaN for an empty one, infinity for what is no number."""
    if value is None or value == "":
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.inf


def _only_model(models: Counter[tuple[Any, ...]], uri: str) -> tuple[str, float, str]:
    """Return name, threshold and its origin of the one detector that all rows are of."""
    if len(models) > 1:
        counted = "; ".join(
            f"{_name(model, uri)}, threshold {model[3] or 'not stated'}: {count:,} row(s)"
            for model, count in models.most_common(5)
        )
        raise UserError(
            f"{uri} has scores of {len(models)} models: {counted}.",
            "Figures are of one detector: give each a file of its own.",
        )
    (model,) = models
    threshold = _number(model[3], f"{uri}: threshold")
    if threshold is None:
        return _name(model, uri), UNFITTED_THRESHOLD, "not stated with the scores"
    return _name(model, uri), threshold, model[4] or "stated with the scores"


def _name(model: tuple[Any, ...], uri: str) -> str:
    name, version = model[:2]
    if not name:
        return uri.rpartition("/")[2].rpartition(".")[0]
    return f"models:/{name}/{version}" if version else str(name)


def _said(score: GivenScore) -> str:
    return "none" if score.probability is None else f"{score.probability:g}"
