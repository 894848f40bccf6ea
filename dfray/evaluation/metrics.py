"""Metrics of an evaluation: AUC, balanced accuracy, EER and average precision, with intervals.

All are computed once over all scores of a group (never averaged over batches), at video level and
at frame level, overall, per dataset, and per fake method against all real videos of its dataset.
Metrics that the data do not define are null, with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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
from dfray.evaluation.intervals import INTERVALS, Calls
from dfray.evaluation.names import ALL_VIDEOS
from dfray.evaluation.operating_points import OperatingPoint, operating_points
from dfray.evaluation.operational_metrics import OperationalMetrics
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
    threshold = section.fixed_threshold if threshold is None else threshold
    groups = _Groups(table, face_scores, section, threshold)
    pooled = ~np.isin(table.column("video_id").to_pylist(), list(copies))
    stated = attributes or {}
    return Metrics(
        split=section.split,
        threshold=threshold,
        confidence=section.confidence,
        seed=seed,
        video_rule=video_rule or section.video_rule,
        overall=groups.of(pooled),
        mean=mean_over_columns(table, section, threshold=threshold),
        datasets=list(groups.by_dataset()),
        methods=list(groups.by_method()),
        identity_groups=list(groups.by_identity_group(stated.get(IDENTITY_GROUP, {}), pooled)),
        subgroups=subgroups(
            table.filter(pa.array(pooled)),
            stated,
            threshold=threshold,
            needed=section.min_per_class,
            confidence=section.confidence,
        ),
        operating_points=groups.operating_points(pooled),
        strata=[] if properties is None else stratified_aucs(table, properties, section),
    )


class _Groups:
    """Groups of the videos of one split, as masks bool (V,) over the rows of VIDEO_SCORES."""

    def __init__(
        self, table: pa.Table, face_scores: pa.Table, section: EvaluationSection, threshold: float
    ) -> None:
        self.section, self.threshold = section, threshold
        self.video_id, self.dataset, self.method, self.label, self.status = (
            np.asarray(table.column(name).to_pylist())
            for name in ("video_id", "dataset", "method", "label", "status")
        )
        self.videos = _video_items(table)
        self.frames = _frame_items(table, check_scores(face_scores))

    def of(
        self, videos: np.ndarray, counted: np.ndarray | None = None, **names: str | None
    ) -> Group:
        """Return the metrics of `videos`; `counts` are of `counted`, by default of the same."""
        counted = videos if counted is None else counted
        is_scored_one = np.isin(np.flatnonzero(counted), self.videos.video)
        return Group.model_validate(
            {"dataset": None, "method": None}
            | names
            | {
                "counts": _counts(self.status[counted], is_scored_one),
                "video": self._level(self.videos.of(videos)),
                "frame": self._level(self.frames.of(videos)),
                "operational": self._operational(videos),
            }
        )

    def by_dataset(self) -> Iterator[Group]:
        """Yield the group of each dataset."""
        for name in np.unique(self.dataset).tolist():
            yield self.of(self.dataset == name, dataset=name)

    def by_method(self) -> Iterator[Group]:
        """Yield the group of each fake method of each dataset, with all real videos of the dataset."""
        for name in np.unique(self.dataset).tolist():
            of_dataset = self.dataset == name
            fakes, real = (of_dataset & (self.label == label) for label in (FAKE, REAL))
            for method in np.unique(self.method[fakes]).tolist():
                of_method = fakes & (self.method == method)
                yield self.of(of_method | real, of_method, dataset=name, method=method)

    def by_identity_group(self, people: Mapping[str, str], pooled: np.ndarray) -> Iterator[Group]:
        """Yield each group of people among the videos that are `pooled`."""
        group_of_row = np.asarray([people.get(video, "") for video in self.video_id.tolist()], str)
        for name in sorted(set(people.values()) & set(group_of_row.tolist())):
            yield self.of(pooled & (group_of_row == name), identity_group=name)

    def operating_points(self, videos: np.ndarray) -> list[OperatingPoint]:
        """Return the rates at several thresholds over videos; [] if they are too few."""
        items = self.videos.of(videos)
        labels = self.label[items.video]
        if self._lack(labels):
            return []
        return operating_points(labels, items.score, self.threshold, self.section.confidence)

    def _operational(self, videos: np.ndarray) -> OperationalMetrics | None:
        items = self.videos.of(videos)
        labels = self.label[items.video]
        if self._lack(labels):
            return None
        return OperationalMetrics.of(labels, items.score, self.section.confidence)

    def _level(self, items: _Items) -> Level:
        labels = self.label[items.video]
        counts = {"n_real": int(np.sum(labels == REAL)), "n_fake": int(np.sum(labels == FAKE))}
        of_video = self.label[np.unique(items.video)]
        if reason := self._lack(of_video):
            return Level(**counts, reason=reason)
        points = point_metrics(labels, items.score, self.threshold)
        calls = Calls.of(labels, items.score >= self.threshold, of_video)
        estimates = {
            name: Estimate.of(value, INTERVALS[name](value, calls, self.section.confidence))
            for name, value in points.items()
        }
        return Level.model_validate(counts | estimates)

    def _lack(self, labels: np.ndarray) -> str | None:
        n_real, n_fake = (int(np.sum(labels == label)) for label in (REAL, FAKE))
        return lack_of(n_real, n_fake, self.section.min_per_class)


def point_metrics(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Return every metric of METRICS by scikit-learn; labels int (M,), scores float (M,)."""
    return {name: metric.point(labels, scores, threshold) for name, metric in METRICS.items()}


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
