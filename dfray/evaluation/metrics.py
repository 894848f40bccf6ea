"""Metrics of an evaluation: AUC, balanced accuracy, EER and average precision, with intervals.

All are computed once over all scores of a group (never averaged over batches), at video level and
at frame level, overall, per dataset, and per fake method against all real videos of its dataset.
Metrics that the data do not define are null, with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from dfray.config import EvaluationSection
from dfray.datasets.attributes import IDENTITY_GROUP
from dfray.evaluation.aggregate import (
    NOT_EXTRACTED,
    VIDEO_SCORES,
    check_scores,
    frame_scores,
    is_scored,
)
from dfray.evaluation.column_mean import mean_over_columns
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.intervals import INTERVALS, Calls, proportion_interval
from dfray.evaluation.names import ALL_VIDEOS
from dfray.evaluation.operating_points import OperatingPoint, operating_points, tpr_at_fpr
from dfray.evaluation.ranking_metrics import METRICS
from dfray.evaluation.strata import StratifiedAuc, stratified_aucs
from dfray.evaluation.subgroups import Attributes, Subgroup, subgroups
from dfray.tables import FAKE, REAL


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(_Stored):
    """Metrics over one kind of item: a video, or a frame with at least one face.

    Null metrics have a `reason`. `n_real` and `n_fake` count the scored items.
    """

    n_real: int
    n_fake: int
    auc: Estimate | None = None
    balanced_accuracy: Estimate | None = None
    eer: Estimate | None = None
    average_precision: Estimate | None = None
    reason: str | None = None


class MeanLevel(Level):
    """Video-level metrics as the mean over columns, one for each dataset, each of the same weight.

    Gates go by it. `columns` are those that it is over, `undefined` those that lack a class.
    """

    name: str
    columns: list[str]
    undefined: list[str]
    fakes_share: float | None = None
    """Mean share of fakes in a column: the average precision of a ranking by chance."""


class OperationalMetrics(_Stored):
    """Video-level figures for use: detection at rare false alarms, and how far scores are probabilities.

    Attributes:
        tpr_at_fpr_1, tpr_at_fpr_5: share of fakes found where at most 1 % (5 %) of the real videos are called
            fake; null with less than 100 (20) real videos.
        brier: mean squared distance of score and label (Brier, Monthly Weather Review 78, 1950, 1-3); its
            interval is that of a share of as many videos, which is wider than it need be.
        calibration_error: as `calibration_error`; too high with few videos.
    """

    tpr_at_fpr_1: Estimate | None
    tpr_at_fpr_5: Estimate | None
    brier: Estimate
    calibration_error: float


class Counts(_Stored):
    """Counts of videos: all, scored, and those without a score by status."""

    videos: int
    scored: int
    no_face: int
    unreadable: int
    crashed: int
    timed_out: int
    not_extracted: int = 0
    """Videos of the manifest whose extraction was never tried."""
    coverage: float | None
    """scored / videos; null without videos."""


class Group(_Stored):
    """One row of the tables. For a method, `counts` are of its own videos, without the real ones.

    A group of people (`identity_group`) has its own real and fake videos, of all datasets.
    """

    dataset: str | None
    method: str | None
    identity_group: str | None = None
    counts: Counts
    video: Level
    frame: Level
    operational: OperationalMetrics | None = None
    """Null where the video level has no figures, and in metrics of an earlier dfray."""


class Metrics(_Stored):
    """All metrics of one evaluation, with the settings they depend on."""

    split: Literal["test", "val"]
    threshold: float
    confidence: float
    bootstrap: int | None = None
    """Resamples of the intervals, in metrics of an earlier dfray."""
    seed: int
    video_rule: Literal["mean", "max_of_persons"] = "mean"
    overall: Group
    """Pooled over all videos: a scorer that knows only the dataset of a video is above chance there."""
    mean: MeanLevel | None = None
    """Null in metrics of an earlier dfray."""
    datasets: list[Group]
    methods: list[Group]
    identity_groups: list[Group] = []
    subgroups: list[Subgroup] = []
    operating_points: list[OperatingPoint] = []
    """Over all videos, pooled; empty without figures of theirs."""
    strata: list[StratifiedAuc] = []
    """AUC within videos of like face size, length and quality; empty in metrics of an earlier dfray."""

    @property
    def mean_of_several(self) -> MeanLevel | None:
        """The mean over columns, unless it is that of all videos, or there is one dataset."""
        mean = self.mean
        is_alone = mean is None or (not mean.columns and len(mean.undefined) < 2)
        return None if mean is None or is_alone or mean.name == ALL_VIDEOS else mean


class _Items:
    """Scored items as arrays: score float64 (M,), video int (M,) into the rows of VIDEO_SCORES."""

    def __init__(self, score: np.ndarray, video: np.ndarray) -> None:
        self.score, self.video = score, video

    def of(self, videos: np.ndarray) -> _Items:
        """Return the items whose video is True in the mask `videos`."""
        mask = videos[self.video]
        return _Items(self.score[mask], self.video[mask])


def compute_metrics(
    video_scores: pa.Table,
    face_scores: pa.Table,
    section: EvaluationSection,
    seed: int,
    *,
    threshold: float | None = None,
    video_rule: Literal["mean", "max_of_persons"] | None = None,
    attributes: Attributes | None = None,
    copies: Collection[str] = (),
    properties: pa.Table | None = None,
) -> Metrics:
    """Return the metrics of one scored split.

    Args:
        video_scores: VIDEO_SCORES, from `aggregate.video_scores`.
        face_scores: the SCORES they were made of; a frame's score is the mean of its faces.
        seed: of what the report draws at random.
        threshold: the model's own; by default the one that the section fixes.
        video_rule: the rule of `video_scores`; by default the section's.
        attributes: of person or recording, where the corpus states them.
        copies: video_ids that pooled figures leave out, as `Copies.pooled`.
        properties: from `video_properties`, by which AUC is stratified; None: it is not.

    Raises:
        EvaluationError: a score is no number in 0..1.
    """
    table = VIDEO_SCORES.conform(video_scores, "video scores")
    dataset, method, label = (
        np.asarray(table.column(name).to_pylist()) for name in ("dataset", "method", "label")
    )
    threshold = section.fixed_threshold if threshold is None else threshold
    videos = _video_items(table)
    frames = _frame_items(table, check_scores(face_scores))
    statuses = np.asarray(table.column("status").to_pylist())

    def group(mask: np.ndarray, counted: np.ndarray, *name: str) -> Group:
        return Group(
            dataset=name[0] if name else None,
            method=name[1] if len(name) > 1 else None,
            counts=_counts(statuses[counted], np.isin(np.flatnonzero(counted), videos.video)),
            video=_level(videos.of(mask), label, section, threshold),
            frame=_level(frames.of(mask), label, section, threshold),
            operational=_operational(videos.of(mask), label, section),
        )

    everything = ~np.isin(table.column("video_id").to_pylist(), list(copies))
    by_dataset, by_method = [], []
    for name in np.unique(dataset):
        mask = dataset == name
        by_dataset.append(group(mask, mask, str(name)))
        for fake in np.unique(method[mask & (label == FAKE)]):
            of_method = mask & (label == FAKE) & (method == fake)
            with_real = of_method | (mask & (label == REAL))
            by_method.append(group(with_real, of_method, str(name), str(fake)))
    overall = group(everything, everything)
    return Metrics(
        split=section.split,
        threshold=threshold,
        confidence=section.confidence,
        seed=seed,
        video_rule=video_rule or section.video_rule,
        overall=overall,
        mean=mean_over_columns(table, section, threshold=threshold),
        datasets=by_dataset,
        methods=by_method,
        identity_groups=_of_people(
            table, (attributes or {}).get(IDENTITY_GROUP, {}), everything, group
        ),
        subgroups=subgroups(
            table.filter(pa.array(everything)),
            attributes or {},
            threshold=threshold,
            needed=section.min_per_class,
            confidence=section.confidence,
        ),
        operating_points=_operating_points(videos.of(everything), label, section, threshold),
        strata=[] if properties is None else stratified_aucs(table, properties, section),
    )


def _of_people(
    table: pa.Table, people: Mapping[str, str], pooled: np.ndarray, group: Callable[..., Group]
) -> list[Group]:
    """Return the metrics of each group of people in the videos of `table` that are `pooled`."""
    group_of_row = np.asarray(
        [people.get(video, "") for video in table.column("video_id").to_pylist()]
    )
    groups = []
    for name in sorted(set(people.values()) & set(group_of_row.tolist())):
        mask = pooled & (group_of_row == name)
        of_group = group(mask, mask, "", "", name)
        names = {"dataset": None, "method": None, "identity_group": name}
        groups.append(of_group.model_copy(update=names))
    return groups


def point_metrics(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Return every metric of METRICS by scikit-learn; labels int (M,), scores float (M,)."""
    return {name: metric.point(labels, scores, threshold) for name, metric in METRICS.items()}


def _level(items: _Items, label: np.ndarray, section: EvaluationSection, threshold: float) -> Level:
    labels = label[items.video]
    counts = {"n_real": int(np.sum(labels == REAL)), "n_fake": int(np.sum(labels == FAKE))}
    of_video = label[np.unique(items.video)]
    n_real, n_fake = int(np.sum(of_video == REAL)), int(np.sum(of_video == FAKE))
    if reason := lack_of(n_real, n_fake, section.min_per_class):
        return Level(**counts, reason=reason)
    points = point_metrics(labels, items.score, threshold)
    calls = Calls.of(labels, items.score >= threshold, of_video)
    estimates = {
        name: Estimate.of(value, INTERVALS[name](value, calls, section.confidence))
        for name, value in points.items()
    }
    return Level.model_validate(counts | estimates)


def _operational(
    items: _Items, label: np.ndarray, section: EvaluationSection
) -> OperationalMetrics | None:
    """Return the operational metrics of videos; None if they are too few."""
    labels, scores = label[items.video], items.score
    if lack_of(int(np.sum(labels == REAL)), int(np.sum(labels == FAKE)), section.min_per_class):
        return None
    brier = float(np.mean((scores - labels) ** 2))
    at_1, at_5 = (tpr_at_fpr(labels, scores, fpr, section.confidence) for fpr in (0.01, 0.05))
    return OperationalMetrics(
        tpr_at_fpr_1=at_1,
        tpr_at_fpr_5=at_5,
        brier=Estimate.of(brier, proportion_interval(brier, len(labels), section.confidence)),
        calibration_error=calibration_error(labels, scores),
    )


def _operating_points(
    items: _Items, label: np.ndarray, section: EvaluationSection, threshold: float
) -> list[OperatingPoint]:
    """Return the rates at several thresholds over videos; [] if they are too few."""
    if _operational(items, label, section) is None:
        return []
    return operating_points(label[items.video], items.score, threshold, section.confidence)


def lack_of(n_real: int, n_fake: int, needed: int) -> str | None:
    """Return why there is no figure of so many scored videos, None if there is one."""
    missing = [name for name, count in (("real", n_real), ("fake", n_fake)) if count == 0]
    if missing:
        return f"no scored {' and no scored '.join(missing)} video to compare with"
    if min(n_real, n_fake) < needed:
        return (
            f"too few to tell: {n_real} real and {n_fake} fake, of {needed} videos needed of each"
        )
    return None


def _counts(statuses: np.ndarray, scored: np.ndarray) -> Counts:
    unscored = statuses[~scored]
    ends = ("no_face", "unreadable", "crashed", "timed_out", NOT_EXTRACTED)
    return Counts(
        videos=len(statuses),
        scored=int(scored.sum()),
        coverage=float(scored.mean()) if len(scored) else None,
        **{end: int(np.sum(unscored == end)) for end in ends},
    )


def _video_items(table: pa.Table) -> _Items:
    rows = np.flatnonzero(is_scored(table))
    return _Items(table.column("fake_probability").take(rows).to_numpy(), rows)


def _frame_items(table: pa.Table, scores: pa.Table) -> _Items:
    frames = frame_scores(scores)
    row_of = {video: row for row, video in enumerate(table.column("video_id").to_pylist())}
    rows = np.asarray(
        [row_of.get(video, -1) for video in frames.column("video_id").to_pylist()], np.int64
    )
    is_counted = rows >= 0  # copies of other videos have no row
    return _Items(frames.column("fake_probability").to_numpy()[is_counted], rows[is_counted])


BINS = 10


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the expected calibration error over BINS bins of equal width (arXiv 1706.04599 section 2).

    The mean distance between a bin's mean score and its share of fakes, each bin counted as often as it
    has videos. With few videos it is above zero for a calibrated model too.

    Args:
        labels: int (V,), 0 real or 1 fake; V >= 1.
        scores: float (V,), fake probabilities, 0..1.
    """
    of_bin = np.minimum((np.asarray(scores) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(of_bin, weights=np.asarray(scores) - labels, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))
