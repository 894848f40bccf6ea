"""Probe of metadata: how well codec, size, rates and length alone tell fakes from real videos.

A detector should learn the forgery. If a classifier without any pixel tells the classes apart, a detector can
score well by the same difference: by what compression, resizing or cutting left in the pixels. So a
classifier of PROPERTIES alone is trained on the very videos of train and val and measured on those of the
test: on each dataset, and on all pooled. Pooled, it also tells datasets with other shares of fakes apart, so
that figure is no shortcut by itself. A dataset of which nothing is trained on is also measured within itself,
by cross-validation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from dfray.audit.equal import TRAINED
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.intervals import Calls, auc_interval
from dfray.evaluation.names import ALL_VIDEOS
from dfray.evaluation.properties import PROPERTIES
from dfray.tables import FAKE, REAL

MARGIN = 0.05
"""A shortcut is reported if the interval's lower end is above 0.5 by more than this."""
FOLDS = 5
"""Parts of a cross-validation; fewer where there are fewer people, or fewer videos of a class."""
How = Literal["train and val", "cross-validation"]
_Auc = Callable[[int | None], float | None]
"""AUC of a classifier of one property, by its index in PROPERTIES, or of all."""


@dataclass(frozen=True)
class ProbeResult:
    """AUC of a classifier of metadata on one dataset of the test, or on all.

    Attributes:
        how: what it was trained on: the splits of training, or other parts of the same videos.
        n_real, n_fake: sources of the real and of the fake videos, by which the interval is taken: videos
            that were made from one source are alike.
        auc: None with a `reason`.
        alone: (property, its AUC) of those that tell the classes apart by themselves, if it is a shortcut.
        is_pooled: of several datasets, which the classifier may tell apart.
    """

    dataset: str
    how: How
    n_real: int
    n_fake: int
    auc: Estimate | None = None
    reason: str | None = None
    alone: tuple[tuple[str, Estimate], ...] = ()
    is_pooled: bool = False

    @property
    def is_shortcut(self) -> bool:
        """True if the lower end is above 0.5 by more than MARGIN; no pooled figure is one."""
        return not self.is_pooled and self.auc is not None and self.auc.low > 0.5 + MARGIN


@dataclass(frozen=True)
class _Videos:
    """Videos as arrays: properties float (V, P), labels int (V,), person and source of each, str (V,)."""

    values: np.ndarray
    labels: np.ndarray
    people: np.ndarray
    sources: np.ndarray

    def of(self, mask: np.ndarray) -> _Videos:
        return _Videos(self.values[mask], self.labels[mask], self.people[mask], self.sources[mask])

    def with_property(self, index: int) -> _Videos:
        return _Videos(self.values[:, [index]], self.labels, self.people, self.sources)

    def counts(self) -> tuple[int, int]:
        """Return the number of sources of real and of fake videos."""
        real, fake = (len(np.unique(self.sources[self.labels == label])) for label in (REAL, FAKE))
        return real, fake


def probe_metadata(
    properties: pa.Table, *, confidence: float = 0.95, min_per_class: int = 5, seed: int = 0
) -> list[ProbeResult]:
    """Return the result of each dataset of the test, and of all pooled if there are several.

    Without a video of training there are only those of cross-validation.

    Args:
        properties: from `video_properties`, of all splits, copies left out.
        min_per_class: real and fake videos that the training and each measurement need.
    """
    table = _Videos(
        _values(properties),
        properties["label"].to_numpy(),
        _names(properties, "identity", "source_video", "video_id"),
        _names(properties, "source_video", "video_id"),
    )
    datasets = np.asarray(properties["dataset"].to_pylist(), str)
    is_trained = np.isin(properties["split"].to_pylist(), TRAINED)
    probe = _Probe(table.of(is_trained), confidence, min_per_class, seed)
    tested = np.unique(datasets[~is_trained]).tolist()
    trained = set(datasets[is_trained].tolist())
    results = []
    for name in tested:
        videos = table.of(~is_trained & (datasets == name))
        if trained:
            results.append(probe.measured(name, videos))
        if name not in trained:
            results.append(probe.within(name, videos))
    if trained and len(tested) > 1:
        pooled = probe.measured(f"{ALL_VIDEOS}, pooled", table.of(~is_trained), is_pooled=True)
        results.append(pooled)
    return results


@dataclass(frozen=True)
class _Probe:
    trained: _Videos
    confidence: float
    min_per_class: int
    seed: int

    def measured(self, name: str, videos: _Videos, *, is_pooled: bool = False) -> ProbeResult:
        """Return the result of a classifier trained on the splits of training."""
        result = ProbeResult(name, "train and val", *videos.counts(), is_pooled=is_pooled)
        return self._filled(result, videos, lambda index: self._trained(videos, index))

    def within(self, name: str, videos: _Videos) -> ProbeResult:
        """Return the result of cross-validation among the videos themselves, people kept together."""
        result = ProbeResult(name, "cross-validation", *videos.counts())
        return self._filled(result, videos, lambda index: self._cross_validated(videos, index))

    def _filled(self, result: ProbeResult, videos: _Videos, auc: _Auc) -> ProbeResult:
        """Return the result with the AUC of all properties and, of a shortcut, with that of each alone."""
        sides = [videos, *([self.trained] if result.how == "train and val" else [])]
        needed = [count for side in sides for count in side.counts()]
        if min(needed) < self.min_per_class:
            reason = f"too few to tell: {self.min_per_class} real and fake sources are needed"
            return replace(result, reason=reason)
        value = auc(None)
        if value is None:
            return replace(result, reason="too few people to cross-validate")
        found = replace(result, auc=self._estimate(value, videos, result.how))
        if not found.is_shortcut:
            return found
        alone = [
            (prop.title, self._estimate(auc(index) or 0.5, videos, result.how))
            for index, prop in enumerate(PROPERTIES)
        ]
        telling = [(title, one) for title, one in alone if one.low > 0.5 + MARGIN]
        telling.sort(key=lambda pair: -pair[1].value)
        return replace(found, alone=tuple(telling))

    def _estimate(self, value: float, videos: _Videos, how: How) -> Estimate:
        share = 1.0 if how == "train and val" else _independent(_n_folds(videos))
        real, fake = (max(2, round(share * count)) for count in videos.counts())
        calls = Calls(real, fake, specificity=0.5, sensitivity=0.5)
        return Estimate.of(value, auc_interval(value, calls, self.confidence))

    def _trained(self, videos: _Videos, index: int | None) -> float:
        train, test = (
            (self.trained, videos)
            if index is None
            else (self.trained.with_property(index), videos.with_property(index))
        )
        return _auc(test.labels, _scores(train, test, self.seed, index))

    def _cross_validated(self, videos: _Videos, index: int | None) -> float | None:
        """Return the mean AUC of the folds, weighted by their pairs: pooled scores would be biased."""
        chosen = videos if index is None else videos.with_property(index)
        aucs, pairs = [], []
        for train, test in _folds(videos, self.seed):
            labels = videos.labels[test]
            n_fake = int(np.sum(labels == FAKE))
            if 0 < n_fake < len(labels) and len(np.unique(videos.labels[train])) > 1:
                scores = _scores(chosen.of(train), chosen.of(test), self.seed, index)
                aucs.append(_auc(labels, scores))
                pairs.append(n_fake * (len(labels) - n_fake))
        return float(np.average(aucs, weights=pairs)) if aucs else None


def _folds(videos: _Videos, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold

    n_folds = _n_folds(videos)
    if n_folds < 2:
        return
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    yield from folds.split(videos.values, videos.labels, videos.people)


def _n_folds(videos: _Videos) -> int:
    of_classes = (np.sum(videos.labels == label) for label in (REAL, FAKE))
    return int(min(FOLDS, len(np.unique(videos.people)), *of_classes))


def _independent(n_folds: int) -> float:
    """Return the share of the sources that count in an interval of cross-validation.

    Its parts share their training: the variance is that of Nadeau and Bengio (Machine Learning 52, 2003,
    239-281).
    """
    return (1 / n_folds) / (1 / n_folds + 1 / (n_folds - 1))


def _scores(train: _Videos, test: _Videos, seed: int, index: int | None) -> np.ndarray:
    """Return fake probabilities by gradient-boosted trees, float (V,), of the tested videos."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    known = ~np.isnan(train.values).all(axis=0)
    if not known.any():
        return np.zeros(len(test.labels))
    props = PROPERTIES if index is None else PROPERTIES[index : index + 1]
    model = HistGradientBoostingClassifier(
        max_iter=25,
        learning_rate=0.2,
        max_depth=3,
        min_samples_leaf=max(5, len(train.labels) // 50),
        l2_regularization=1.0,
        categorical_features=[prop.is_name for prop in itertools.compress(props, known)],
        class_weight="balanced",
        early_stopping=False,
        random_state=seed,
    )
    model.fit(train.values[:, known], train.labels)
    scores: np.ndarray = model.predict_proba(test.values[:, known])[:, 1]
    return scores


def _auc(labels: np.ndarray, scores: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def _values(properties: pa.Table) -> np.ndarray:
    """Return the properties as float64 (V, P): names by their number, NaN where they are not known."""
    columns = []
    for prop in PROPERTIES:
        column = properties[prop.name]
        if prop.is_name:
            names = sorted(filter(None, column.unique().to_pylist()))[:_MOST_NAMES]
            numbers = {name: float(number) for number, name in enumerate(names)}
            columns.append([numbers.get(name, np.nan) for name in column.to_pylist()])
        else:
            columns.append(column.to_numpy(zero_copy_only=False).astype(float))
    return np.column_stack(columns)


_MOST_NAMES = 200


def _names(properties: pa.Table, *columns: str) -> np.ndarray:
    """Return the first of these columns that is stated, with its name and the dataset, of each video."""
    rows = properties.select(["dataset", *columns]).to_pylist()

    def first(row: dict[str, Any]) -> str:
        found: Sequence[str] = [f"{row['dataset']} {row[name]}" for name in columns if row[name]]
        return found[0]

    return np.asarray([first(row) for row in rows], str)
