"""Measurement of a model on one evaluation set: headline metrics, and the score of every video."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from dfray.config.section import Threshold
from dfray.documents import parse_json, validated
from dfray.errors import RegistryError

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.evaluation.measure import EvaluationResult
    from dfray.evaluation.protocol import Protocol
    from dfray.evaluation.robustness import PostProcessingDrop
    from dfray.evaluation.subgroups import Subgroup


@dataclass(frozen=True)
class HeadlineMetrics:
    """Metrics of a model on one evaluation set, as the registry stores and compares them.

    Attributes:
        auc: video-level, pooled over all videos; None if the set holds one class only.
        balanced_accuracy: video-level, pooled, at the model's own threshold; None likewise.
        coverage: videos with a score over videos in the split, 0..1.
        n_videos: videos with a score.
        evaluation_set: fingerprint of the scored videos; only metrics of one set compare.
        threshold: the model's own, on the videos' scores.
        calibration_error: of the videos' scores, 0..1; None if none has a score.
        worst_drop: AUC lost at the worst strength of any kind of post-processing; None: not measured.
        worst_kind: that kind.
        worst_group_error: highest error rate of a group of people or recordings; None: no group is known that
            has enough videos.
        worst_group: that group.
        mean_auc, mean_balanced_accuracy: mean over columns, one for each dataset: what gates go by; None if
            no dataset has both classes, or if an earlier dfray stored them.
        n_columns: columns of that mean.
    """

    auc: float | None
    balanced_accuracy: float | None
    coverage: float
    n_videos: int
    evaluation_set: str
    threshold: Threshold = 0.5
    calibration_error: float | None = None
    worst_drop: float | None = None
    worst_kind: str | None = None
    worst_group_error: float | None = None
    worst_group: str | None = None
    mean_auc: float | None = None
    mean_balanced_accuracy: float | None = None
    n_columns: int = 0

    @property
    def deciding_auc(self) -> float | None:
        """The mean over columns, or the pooled AUC where it was not stored."""
        return self.auc if self.mean_auc is None else self.mean_auc

    @property
    def deciding_balanced_accuracy(self) -> float | None:
        """The mean over columns, or the pooled one where it was not stored."""
        mean = self.mean_balanced_accuracy
        return self.balanced_accuracy if mean is None else mean

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, text: str, source: str) -> Self:
        """Return the metrics in a tag.

        Raises:
            RegistryError: it was edited to hold none.
        """
        hint = (
            "dfray writes this tag: change it back, or delete it, and the model is measured again."
        )
        values = parse_json(text, source, RegistryError, hint, with_nan=True)
        return validated(cls, values, source, RegistryError, hint)


@dataclass(frozen=True)
class Measurement:
    """Headline metrics, and the STORED_SCORES that a comparison with another model needs."""

    metrics: HeadlineMetrics
    scores: pa.Table

    @classmethod
    def of(cls, result: EvaluationResult) -> Self:
        """Return the measurement that the registry stores of an evaluation's result."""
        from dfray.evaluation.paired import with_persons
        from dfray.evaluation.protocol import load_protocol
        from dfray.evaluation.subgroups import subgroups

        evaluation_set, section = result.evaluation_set, result.evaluation_set.section
        copies = evaluation_set.copies(section.split).pooled
        metrics = headline_metrics(
            result.video_scores,
            copies=copies,
            threshold=result.decision_rule.threshold,
            evaluation_set=result.evaluation_set_name,
            drops=result.drops,
            groups=subgroups(
                _without(result.video_scores, copies),
                evaluation_set.attributes,
                threshold=result.decision_rule.threshold,
                needed=section.min_per_class,
                confidence=section.confidence,
            ),
            protocol=load_protocol(section.protocol) if section.protocol else None,
        )
        summaries = evaluation_set.faces.summaries([evaluation_set.section.split])
        return cls(metrics, with_persons(result.video_scores, summaries))


def headline_metrics(
    videos: pa.Table,
    *,
    threshold: float,
    evaluation_set: str,
    copies: Collection[str] = (),
    drops: Sequence[PostProcessingDrop] = (),
    groups: Sequence[Subgroup] = (),
    protocol: Protocol | None = None,
) -> HeadlineMetrics:
    """Return the headline metrics of one model on one evaluation set.

    Args:
        videos: VIDEO_SCORES or STORED_SCORES of all its videos, those without a score too.
        threshold: the model's own.
        copies: video_ids that pooled metrics and counts leave out, as `Copies.pooled`.
        drops: of AUC under post-processing; empty: not measured.
        groups: error rates of groups of people or recordings.
        protocol: gives the columns of the mean; None: a column for each dataset.
    """
    from dfray.evaluation.aggregate import is_scored
    from dfray.evaluation.metrics import point_metrics
    from dfray.evaluation.operational_metrics import calibration_error
    from dfray.evaluation.scopes import JudgedScores
    from dfray.evaluation.subgroups import worst_subgroup

    pooled = _without(videos, copies)
    scored = is_scored(pooled)
    labels = pooled.column("label").to_numpy()[scored]
    scores = pooled.column("fake_probability").to_numpy(zero_copy_only=False)[scored]
    points = point_metrics(labels, scores, threshold) if len(set(labels.tolist())) == 2 else {}
    judged = JudgedScores.of(videos, threshold, protocol)
    worst_group = worst_subgroup(groups)
    worst = max(((max(drop.drops), drop.kind) for drop in drops), default=(None, None))
    return HeadlineMetrics(
        auc=points.get("auc"),
        balanced_accuracy=points.get("balanced_accuracy"),
        coverage=float(scored.mean()) if len(scored) else 0.0,
        n_videos=int(scored.sum()),
        evaluation_set=evaluation_set,
        threshold=threshold,
        calibration_error=calibration_error(labels, scores) if len(scores) else None,
        worst_drop=worst[0],
        worst_kind=worst[1],
        worst_group_error=worst_group.error_rate if worst_group else None,
        worst_group=f"{worst_group.attribute} {worst_group.value}" if worst_group else None,
        mean_auc=judged.mean.get("auc"),
        mean_balanced_accuracy=judged.mean.get("balanced_accuracy"),
        n_columns=len(judged.columns.defined),
    )


def _without(videos: pa.Table, copies: Collection[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_copy = pc.is_in(videos["video_id"], pa.array(copies, pa.string()))
    return videos.filter(pc.invert(is_copy))
