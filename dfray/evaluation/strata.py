"""AUC within videos of like face size, length and quality, beside the plain one.

If fakes have larger faces than real videos, a model that tells the size of faces apart has a high AUC. Within
videos of like size that advantage is gone. So each dataset is divided by the tertiles of a property, and the
stratified AUC is the mean of those within each part, weighted by its pairs of a real and a fake video (as
Mantel and Haenszel weigh tables: J. Natl. Cancer Inst. 22, 1959, 719-748).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from dfray.config import EvaluationSection
from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.intervals import Calls, Interval, auc_interval, mean_interval
from dfray.tables import FAKE, REAL

STRATIFIED = {"face_px": "face size, px", "length_s": "length, s", "quality": "quality, bits/pixel"}
"""Property -> its name and unit."""
_PARTS = 3


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stratum(_Stored):
    """Videos of one part of the range of a property: above `low`, up to `high`; null: without a bound."""

    low: float | None
    high: float | None
    n_real: int
    n_fake: int
    auc: Estimate | None = None
    reason: str | None = None


class StratifiedAuc(_Stored):
    """Plain and stratified AUC of one dataset and property; null with a `reason`.

    Both are of the videos of which the property is known, as are `n_real` and `n_fake`; `n_unknown` videos of
    the dataset have a score and not this property.
    """

    dataset: str
    property: str
    n_real: int
    n_fake: int
    plain: Estimate | None = None
    stratified: Estimate | None = None
    strata: list[Stratum] = []
    n_unknown: int = 0
    reason: str | None = None


def stratified_aucs(
    videos: pa.Table, properties: pa.Table, section: EvaluationSection
) -> list[StratifiedAuc]:
    """Return an entry for each dataset and property of STRATIFIED.

    Args:
        videos: VIDEO_SCORES.
        properties: from `video_properties`, of the same videos.
    """
    scored = videos.filter(pa.array(is_scored(videos)))
    place = pc.index_in(scored["video_id"], properties["video_id"].combine_chunks())
    datasets = np.asarray(scored["dataset"].to_pylist())
    labels, scores = scored["label"].to_numpy(), scored["fake_probability"].to_numpy()
    values = {
        name: properties[name].take(place).to_numpy(zero_copy_only=False).astype(float)
        for name in STRATIFIED
    }
    return [
        _of_property(str(dataset), name, labels[mask], scores[mask], values[name][mask], section)
        for dataset in np.unique(datasets)
        for name in STRATIFIED
        for mask in [datasets == dataset]
    ]


def _of_property(
    dataset: str,
    name: str,
    labels: np.ndarray,
    scores: np.ndarray,
    values: np.ndarray,
    section: EvaluationSection,
) -> StratifiedAuc:
    known = ~np.isnan(values)
    n_unknown = int(np.sum(~known))
    labels, scores, values = labels[known], scores[known], values[known]
    plain, reason = _auc(labels, scores, section, section.min_per_class)
    entry = StratifiedAuc(
        dataset=dataset,
        property=name,
        n_real=int(np.sum(labels == REAL)),
        n_fake=int(np.sum(labels == FAKE)),
        plain=plain,
        n_unknown=n_unknown,
        reason=reason if len(values) else "not known of any video",
    )
    if plain is None:
        return entry
    parts = list(_parts(values))
    if len(parts) == 1:
        return entry.model_copy(update={"reason": "the same of all videos"})
    strata = [_stratum(bounds, labels[mask], scores[mask], section) for bounds, mask in parts]
    pooled = _weighted([(labels[mask], scores[mask]) for _, mask in parts], section)
    reason = None if pooled else "no part has real and fake videos"
    return entry.model_copy(update={"strata": strata, "stratified": pooled, "reason": reason})


def _parts(values: np.ndarray) -> Iterator[tuple[tuple[float | None, float | None], np.ndarray]]:
    """Yield bounds and bool (V,) of each part; there are fewer if values repeat."""
    cuts = np.quantile(values, [k / _PARTS for k in range(1, _PARTS)], method="inverted_cdf")
    inner = [float(cut) for cut in np.unique(cuts) if cut < values.max()]
    edges: list[float | None] = [None, *inner, None]
    for low, high in itertools.pairwise(edges):
        above = values > (-np.inf if low is None else low)
        yield (low, high), above & (values <= (np.inf if high is None else high))


def _stratum(
    bounds: tuple[float | None, float | None],
    labels: np.ndarray,
    scores: np.ndarray,
    section: EvaluationSection,
) -> Stratum:
    auc, reason = _auc(labels, scores, section, section.min_per_class)
    n_fake = int(np.sum(labels == FAKE))
    return Stratum(
        low=bounds[0],
        high=bounds[1],
        n_real=len(labels) - n_fake,
        n_fake=n_fake,
        auc=auc,
        reason=reason,
    )


def _auc(
    labels: np.ndarray, scores: np.ndarray, section: EvaluationSection, needed: int
) -> tuple[Estimate | None, str | None]:
    """Return the AUC, or why there is none."""
    from sklearn.metrics import roc_auc_score

    n_real, n_fake = int(np.sum(labels == REAL)), int(np.sum(labels == FAKE))
    if min(n_real, n_fake) < max(1, needed):
        return None, f"too few to tell: {n_real} real and {n_fake} fake"
    value = float(roc_auc_score(labels, scores))
    return Estimate.of(value, _interval(value, labels, section)), None


def _interval(value: float, labels: np.ndarray, section: EvaluationSection) -> Interval:
    return auc_interval(value, Calls.of(labels, labels == FAKE), section.confidence)


def _weighted(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], section: EvaluationSection
) -> Estimate | None:
    """Return the mean AUC of the parts with both classes, each weighted by its pairs."""
    found = [(_auc(labels, scores, section, 1)[0], labels) for labels, scores in parts]
    pairs = [
        (auc, int(np.sum(labels == REAL)) * int(np.sum(labels == FAKE)))
        for auc, labels in found
        if auc is not None
    ]
    total = sum(count for _, count in pairs)
    if not total:
        return None
    weighted = [(count / total, auc.value, (auc.low, auc.high)) for auc, count in pairs]
    value = sum(weight * part for weight, part, _ in weighted)
    return Estimate.of(value, mean_interval(value, weighted))
