"""How good the run's model is: its decision, its scores, the figures and the report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.config import Recipe, WantedRate
from dfray.datasets import manifest as manifests
from dfray.faces.shards import FacesStore
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import require_cpus, session
from dfray.tables import SCORES

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.evaluation.mistakes import Explain
    from dfray.evaluation.robustness import Loss
    from dfray.models.bundle import DecisionRule


def evaluate(recipe: Recipe, *, verbose: bool = False) -> Metrics:
    """Score the held-out split with the run's model, compute the figures and write the report.

    A threshold or temperature that the recipe wants fitted is fitted on validation first, and kept with the
    model, as is the video rule; what an earlier recipe wanted is replaced.

    Raises:
        UserError: the run was made with a recipe that differs in more than its evaluation.
    """
    from dfray.evaluation.robustness import measure_losses
    from dfray.evaluation.summary import write_summary

    folder, section = RunFolder(recipe), recipe.evaluation
    folder.require("model/bundle.json", "train")
    folder.claim_to_measure()
    with session(recipe.cluster, verbose=verbose), stage("evaluate") as line:
        line.update(detail=f"fitting on {section.fit_split}" if section.is_fitted else "")
        decision = decide(recipe, folder.model)
        line.update(detail=f"scoring the {section.split} split")
        scores = score_split(recipe, folder.model, section.split)
        SCORES.write(scores, folder.scores)
        by_video = videos_of(recipe, scores, section.split, decision.video_rule)
        losses: list[Loss] = []
        if section.post_processing:
            line.update(detail=f"post-processing: {', '.join(section.post_processing)}")
            losses = measure_losses(folder.faces, folder.model, by_video, section)
        line.update(detail="metrics and report")
        metrics = figures_of(recipe, scores, by_video, folder.model)
        write_summary(folder.evaluation, metrics, losses)
        _write_report(recipe, metrics, by_video, scores, losses)
        folder.remember(measured=decision.stored())
        line.finish(folder.report)
    return metrics


def decide(recipe: Recipe, bundle_uri: str) -> DecisionRule:
    """The model's decision for what the recipe wants, made now unless the bundle holds it, and stored there.

    Raises:
        UserError: validation is too small, or lacks a class.
    """
    from dfray.evaluation.decision import fit_temperature, fit_threshold
    from dfray.models.bundle import DecisionRule, read_decision_rule, write_decision_rule

    section, split = recipe.evaluation, recipe.evaluation.fit_split
    fitted_on = None
    if section.is_fitted:
        fitted_on = f"{split}-{FacesStore(RunFolder(recipe).faces).fingerprint(split)}"
    there = read_decision_rule(bundle_uri)
    if (there.decision_criteria, there.fitted_on) == (section.decision_criteria, fitted_on):
        return there
    decision = DecisionRule(section.fixed_threshold, decision_criteria=section.decision_criteria)
    write_decision_rule(bundle_uri, decision)
    if not section.is_fitted:
        return decision
    scores = score_split(recipe, bundle_uri, split)
    if section.calibrate:
        decision = replace(decision, temperature=fit_temperature(scores))
        write_decision_rule(bundle_uri, decision)
    if isinstance(section.threshold, WantedRate):
        if section.calibrate:  # the threshold is on calibrated scores
            scores = score_split(recipe, bundle_uri, split)
        videos = videos_of(recipe, scores, split, section.video_rule)
        decision = replace(decision, threshold=fit_threshold(videos, section.threshold.fpr))
    decision = replace(decision, fitted_on=fitted_on)
    write_decision_rule(bundle_uri, decision)
    return decision


def score_split(recipe: Recipe, bundle_uri: str, split: str) -> pa.Table:
    """SCORES of every face of a split of the run; needs a connected Ray."""
    from dfray.evaluation.score import collect_scores, score_faces

    section = recipe.evaluation
    require_cpus({"scoring": section.num_workers}, wait_s=recipe.cluster.wait_s)
    folder = RunFolder(recipe)
    return collect_scores(score_faces(folder.faces, bundle_uri, split, section))


def videos_of(recipe: Recipe, scores: pa.Table, split: str, rule: str) -> pa.Table:
    """VIDEO_SCORES of a scored split of the run, by a model's own video rule."""
    from dfray.evaluation.aggregate import video_scores
    from dfray.evaluation.tracks import track_persons
    from dfray.faces.shards import read_boxes

    store = FacesStore(RunFolder(recipe).faces)
    persons = None
    if rule == "max_of_persons":
        persons = track_persons(scores, read_boxes(store, split), recipe.faces.rate_fps)
    return video_scores(scores, store.summaries([split]), persons)


def figures_of(recipe: Recipe, scores: pa.Table, by_video: pa.Table, bundle_uri: str) -> Metrics:
    """Figures of the recipe's split at the model's own threshold, of videos scored by its own rule."""
    from dfray.evaluation.metrics import evaluate as compute
    from dfray.models.bundle import read_decision_rule

    decision = read_decision_rule(bundle_uri)
    return compute(
        by_video,
        scores,
        recipe.evaluation,
        recipe.seed,
        threshold=decision.threshold,
        video_rule=decision.video_rule,
        identity_groups=_identity_groups(RunFolder(recipe)),
    )


def evaluation_set(recipe: Recipe, video_rule: str) -> str:
    """What is measured and by which video rule: figures of the same set compare."""
    split = recipe.evaluation.split
    fingerprint = FacesStore(RunFolder(recipe).faces).fingerprint(split)
    return f"{split}-{fingerprint}-{video_rule}"


def _identity_groups(folder: RunFolder) -> dict[str, str]:
    """video_id -> identity group, of the videos whose corpus tells it."""
    if not storage.exists(folder.manifest):
        return {}
    videos = manifests.read_manifest(folder.manifest)
    pairs = zip(videos["video_id"].to_pylist(), videos["identity_group"].to_pylist(), strict=True)
    return {video: group for video, group in pairs if group}


def _write_report(
    recipe: Recipe, metrics: Metrics, by_video: pa.Table, scores: pa.Table, losses: list[Loss]
) -> None:
    from dfray.evaluation.mistakes import worst_mistakes
    from dfray.evaluation.report import write_report
    from dfray.models.bundle import read_decision_rule

    folder = RunFolder(recipe)
    store, section = FacesStore(folder.faces), recipe.evaluation
    state, decision = folder.state(), read_decision_rule(folder.model)
    with _explaining(folder.model) as explain:
        worst = worst_mistakes(
            by_video, store, section.split, 8, threshold=decision.threshold, explain=explain
        )
    write_report(
        folder.report,
        title=f"{recipe.name}: {recipe.description or recipe.model.backbone}",
        recipe=recipe.model_dump(mode="json"),
        metrics=metrics,
        video_scores=by_video,
        face_scores=scores,
        summaries=store.summaries(),
        outcomes=store.outcomes(),
        worst=worst,
        losses=losses,
        history=state.get("history", []),
        provenance={
            "recipe fingerprint": recipe.fingerprint(),
            "faces fingerprint": store.fingerprint(),
            "evaluation set": evaluation_set(recipe, metrics.video_rule),
            "threshold": f"{decision.threshold:.6g}",
            "temperature": f"{decision.temperature:.6g}",
            "fitted on": decision.fitted_on or "nothing: both are the recipe's",
            "MLflow run": state.get("run_id", ""),
        },
    )


@contextmanager
def _explaining(bundle_uri: str) -> Iterator[Explain]:
    """Evidence maps by the model, loaded here on the CPU for the few faces that are shown."""
    from functools import partial

    from dfray.evaluation.saliency import evidence_maps
    from dfray.models.bundle import Bundle

    with storage.local_folder(bundle_uri) as folder:
        yield partial(evidence_maps, Bundle.load(folder))
