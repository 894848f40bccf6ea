"""Measurement of one model on one evaluation set: decision rule, scores, drops and metrics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dfray.config import BALANCED_ACCURACY, EvaluationSection, Recipe, WantedRate
from dfray.evaluation.copies import Copies
from dfray.evaluation.subgroups import Attributes
from dfray.faces.shards import described, read_boxes
from dfray.faces.view import FacesView
from dfray.models.bundle_description import (
    DecisionRule,
    VideoRule,
    read_decision_rule,
    write_decision_rule,
)
from dfray.resources import Need
from dfray.session import require_resources
from dfray.tables import FAKE, REAL

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.evaluation.robustness import PostProcessingDrop

OnStep = Callable[[str], None]
"""Called with the name of each step of a measurement."""


@dataclass(frozen=True)
class EvaluationSet:
    """Faces of the evaluation split, and the settings that models are measured by.

    Attributes:
        recipe: its evaluation section and seed; the frame rate of its faces; its cluster's wait.
        faces: the run's, of all splits.
        attributes: of person or recording, for the videos whose corpus states them.
    """

    recipe: Recipe
    faces: FacesView
    attributes: Attributes = field(default_factory=dict)

    @property
    def section(self) -> EvaluationSection:
        """Settings of the evaluation."""
        return self.recipe.evaluation

    def name(self, video_rule: VideoRule) -> str:
        """Return the name of split, faces and video rule; only metrics of one name compare.

        Copies, which are not measured, and videos that were never extracted are in the name if there are any:
        an earlier dfray measured the ones and had no row for the others.
        """
        fingerprint, rows = self._identity
        name = f"{self.section.split}-{fingerprint}-{video_rule}"
        if not rows:
            return name
        return f"{name}-{hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:8]}"

    @cached_property
    def _identity(self) -> tuple[str, list[str]]:
        """Fingerprint of the split's faces, and its copies and videos never extracted; read once."""
        split = self.section.split
        missing = self.faces.unextracted([split])["video_id"].to_pylist()
        rows = [*sorted(self.copies(split).of_dataset), *sorted(missing)]
        return self.faces.fingerprint(split), rows

    def score(self, bundle_uri: str, split: str) -> pa.Table:
        """Return SCORES of every face of `split`; needs a connected Ray."""
        from dfray.evaluation.score import collect_scores, score_faces

        require_resources(
            [Need("scoring", self.section.num_workers)], wait_s=self.recipe.cluster.wait_s
        )
        scores = collect_scores(score_faces(self.faces, bundle_uri, split, self.section))
        return described(scores, self.faces.summaries([split]))

    def video_scores(self, scores: pa.Table, split: str, video_rule: VideoRule) -> pa.Table:
        """Return VIDEO_SCORES of all listed videos of `split` but copies, by `video_rule` from SCORES."""
        from dfray.evaluation.aggregate import video_scores
        from dfray.evaluation.tracks import track_persons

        persons = None
        if video_rule == "max_of_persons":
            boxes = read_boxes(self.faces, split)
            persons = track_persons(scores, boxes, self.recipe.faces.rate_fps)
        summaries, unextracted = self.faces.summaries([split]), self.faces.unextracted([split])
        videos = video_scores(scores, summaries, persons, unextracted)
        copies = pa.array(Copies.of(summaries).of_dataset, pa.string())
        return videos.filter(pc.invert(pc.is_in(videos["video_id"], copies)))

    def properties(self, split: str) -> pa.Table:
        """Return the properties of each video of `split`, as `video_properties`."""
        from dfray.evaluation.properties import video_properties

        boxes, rate_fps = read_boxes(self.faces, split), self.recipe.faces.rate_fps
        return video_properties(self.faces.summaries([split]), boxes, rate_fps)

    def copies(self, split: str) -> Copies:
        """Return the videos of `split` that are copies of others."""
        return Copies.of(self.faces.summaries([split]))


@dataclass(frozen=True)
class EvaluationResult:
    """Scores, drops and metrics of one model on one evaluation set.

    Attributes:
        decision_rule: the model's own, by which videos are scored and called fake.
        face_scores: SCORES of every face of the split.
        video_scores: VIDEO_SCORES of every video but copies, those without a score included.
        drops: AUC under post-processing; empty: not measured.
    """

    evaluation_set: EvaluationSet
    decision_rule: DecisionRule
    face_scores: pa.Table
    video_scores: pa.Table
    drops: Sequence[PostProcessingDrop] = ()

    @property
    def evaluation_set_name(self) -> str:
        """Name of the evaluation set, with the model's video rule."""
        return self.evaluation_set.name(self.decision_rule.video_rule)

    @cached_property
    def metrics(self) -> Metrics:
        """Metrics with intervals at the model's threshold; computed when first read."""
        from dfray.evaluation.metrics import compute_metrics

        return compute_metrics(
            self.video_scores,
            self.face_scores,
            self.evaluation_set.section,
            self.evaluation_set.recipe.seed,
            threshold=self.decision_rule.threshold,
            video_rule=self.decision_rule.video_rule,
            attributes=self.evaluation_set.attributes,
            copies=self.evaluation_set.copies(self.evaluation_set.section.split).pooled,
            properties=self.evaluation_set.properties(self.evaluation_set.section.split),
        )


def measure_model(
    evaluation_set: EvaluationSet,
    bundle_uri: str,
    *,
    fit: bool,
    post_process: bool,
    on_step: OnStep = lambda _: None,
) -> EvaluationResult:
    """Score the evaluation split with one model and return the result; needs a connected Ray.

    Args:
        bundle_uri: the folder of a saved bundle that every node can read.
        fit: give the bundle the decision rule that the recipe asks for; otherwise it keeps its own.
        post_process: measure the drops of AUC that `evaluation.post_processing` lists.

    Raises:
        UserError: as `fit_decision_rule`, or the split has no face.
        EvaluationError: scoring failed.
    """
    from dfray.evaluation.robustness import measure_drops

    section = evaluation_set.section
    if fit:
        on_step(f"fitting on {section.fit_split}" if section.is_fitted else "")
        rule = fit_decision_rule(evaluation_set, bundle_uri)
    else:
        rule = read_decision_rule(bundle_uri)
    on_step(f"scoring the {section.split} split")
    scores = evaluation_set.score(bundle_uri, section.split)
    videos = evaluation_set.video_scores(scores, section.split, rule.video_rule)
    drops: list[PostProcessingDrop] = []
    if post_process and section.post_processing:
        on_step(f"post-processing: {', '.join(section.post_processing)}")
        drops = measure_drops(evaluation_set.faces, bundle_uri, videos, section)
    return EvaluationResult(evaluation_set, rule, scores, videos, drops)


def fit_decision_rule(evaluation_set: EvaluationSet, bundle_uri: str) -> DecisionRule:
    """Store the decision rule that the recipe asks for in the bundle, unless it is there; return it.

    A threshold or a temperature that the recipe asks for is fitted on validation. The threshold of the
    highest balanced accuracy is UNFITTED_THRESHOLD if validation has too few videos.

    Raises:
        UserError: validation is too small for the false positive rate, or lacks a class for the temperature.
    """
    section = evaluation_set.section
    fitted_on = None
    if section.is_fitted:
        fitted_on = f"{section.fit_split}-{evaluation_set.faces.fingerprint(section.fit_split)}"
    stored = read_decision_rule(bundle_uri)
    is_same = (stored.decision_criteria, stored.fitted_on) == (section.decision_criteria, fitted_on)
    if is_same and not stored.unfitted:
        return stored
    rule = DecisionRule(section.fixed_threshold, decision_criteria=section.decision_criteria)
    write_decision_rule(bundle_uri, rule)
    if section.is_fitted:
        fitted, scores = _fitted(evaluation_set, bundle_uri, rule)
        rule = replace(fitted, fitted_on=fitted_on)
        if scores is not None:
            _keep_reference(evaluation_set, bundle_uri, rule, scores)
        write_decision_rule(bundle_uri, rule)
    return rule


def _fitted(
    evaluation_set: EvaluationSet, bundle_uri: str, rule: DecisionRule
) -> tuple[DecisionRule, pa.Table | None]:
    """Fit temperature and threshold on validation as the recipe asks; the bundle holds `rule`.

    Returns:
        The rule, and the SCORES that its threshold was fitted on; None: it was not fitted.
    """
    from dfray.evaluation.decision import fit_temperature, fit_threshold, most_accurate_threshold

    section = evaluation_set.section
    if lack := _lack_of_validation(evaluation_set):
        rule = replace(rule, unfitted=f"in validation, {lack}")
        if not section.calibrate:
            return rule, None
    scores = evaluation_set.score(bundle_uri, section.fit_split)
    if section.calibrate:
        rule = replace(rule, temperature=fit_temperature(scores))
        write_decision_rule(bundle_uri, rule)
    if isinstance(section.threshold, float) or lack:
        return rule, None
    if section.calibrate:  # the threshold is on calibrated scores
        scores = evaluation_set.score(bundle_uri, section.fit_split)
    videos = evaluation_set.video_scores(scores, section.fit_split, section.video_rule)
    if isinstance(section.threshold, WantedRate):
        return replace(rule, threshold=fit_threshold(videos, section.threshold.fpr)), scores
    return replace(rule, threshold=most_accurate_threshold(videos)), scores


def _keep_reference(
    evaluation_set: EvaluationSet, bundle_uri: str, rule: DecisionRule, scores: pa.Table
) -> None:
    """Write validation in numbers into the bundle, of the SCORES that its rule was fitted on."""
    from dfray.evaluation.reference import make_reference, write_reference

    split = evaluation_set.section.fit_split
    videos = evaluation_set.video_scores(scores, split, rule.video_rule)
    boxes = read_boxes(evaluation_set.faces, split)
    properties = evaluation_set.properties(split)
    write_reference(bundle_uri, make_reference(rule, videos, scores, boxes, properties))


def _lack_of_validation(evaluation_set: EvaluationSet) -> str | None:
    """Return what validation lacks for the threshold of the highest balanced accuracy, if it is wanted."""
    from dfray.evaluation.metrics import lack_of

    section = evaluation_set.section
    if section.threshold != BALANCED_ACCURACY:
        return None
    labels = Copies.without(evaluation_set.faces.summaries([section.fit_split]))[
        "label"
    ].to_pylist()
    return lack_of(labels.count(REAL), labels.count(FAKE), section.min_per_class)
