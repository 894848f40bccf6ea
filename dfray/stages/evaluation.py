"""How good the run's model is: its decision, its scores, the figures and the report."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.config import EvaluationSection, Recipe, WantedRate
from dfray.datasets import manifest as manifests
from dfray.faces.shards import FacesStore
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import require_cpus, session

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.evaluation.mistakes import Explain
    from dfray.evaluation.robustness import Loss
    from dfray.models.bundle import Decision


def evaluate(recipe: Recipe, *, verbose: bool = False) -> Metrics:
    """Score the held-out split with the run's model, compute the figures and write the report.

    A threshold or temperature that the recipe wants fitted is fitted on validation first, and kept with the
    model.
    """
    from dfray.evaluation.robustness import measure_losses
    from dfray.evaluation.summary import write_summary

    folder, section = RunFolder(recipe), recipe.evaluation
    folder.require("model/bundle.json", "train")
    with session(recipe.cluster, verbose=verbose), stage("evaluate") as line:
        line.update(detail=f"fitting on {section.fit_split}" if section.is_fitted else "")
        decide(recipe, folder.model)
        line.update(detail=f"scoring the {section.split} split")
        scores = score_split(recipe, folder.model, section.split)
        _write_table(scores, folder.scores)
        by_video = videos_of(recipe, scores, section.split)
        losses: list[Loss] = []
        if section.post_processing:
            line.update(detail=f"post-processing: {', '.join(section.post_processing)}")
            losses = measure_losses(folder.faces, folder.model, by_video, section)
        line.update(detail="metrics and report")
        metrics = figures_of(recipe, scores, by_video, folder.model)
        write_summary(folder.evaluation, metrics, losses)
        _write_report(recipe, metrics, by_video, scores, losses)
        line.finish(folder.report)
    return metrics


def decide(recipe: Recipe, bundle_uri: str) -> Decision:
    """The model's decision, fitted on validation and stored in the bundle if the recipe wants it fitted.

    Raises:
        UserError: validation is too small, or lacks a class.
    """
    from dfray.evaluation.decision import fit_temperature, fit_threshold
    from dfray.models.bundle import Decision

    section, split = recipe.evaluation, recipe.evaluation.fit_split
    there = decision_of(bundle_uri)
    if not section.is_fitted:
        return there
    fitted_on = f"{split}-{FacesStore(RunFolder(recipe).faces).fingerprint(split)}"
    if there.fitted_on == fitted_on:
        return there
    decision = Decision(section.fixed_threshold)
    _store_decision(bundle_uri, decision)
    scores = score_split(recipe, bundle_uri, split)
    if section.calibrate:
        decision = replace(decision, temperature=fit_temperature(scores))
        _store_decision(bundle_uri, decision)
    if isinstance(section.threshold, WantedRate):
        if section.calibrate:  # the threshold is on calibrated scores
            scores = score_split(recipe, bundle_uri, split)
        videos = videos_of(recipe, scores, split)
        decision = replace(decision, threshold=fit_threshold(videos, section.threshold.fpr))
    decision = replace(decision, fitted_on=fitted_on)
    _store_decision(bundle_uri, decision)
    return decision


def decision_of(bundle_uri: str) -> Decision:
    from dfray.models.bundle import read_decision

    with storage.local_folder(bundle_uri) as folder:
        return read_decision(folder)


def score_split(recipe: Recipe, bundle_uri: str, split: str) -> pa.Table:
    """SCORES of every face of a split of the run; needs a connected Ray."""
    from dfray.evaluation.score import collect_scores, score_faces

    section = recipe.evaluation
    require_cpus({"scoring": section.num_workers})
    folder = RunFolder(recipe)
    return collect_scores(score_faces(folder.faces, bundle_uri, split, section))


def videos_of(recipe: Recipe, scores: pa.Table, split: str) -> pa.Table:
    """VIDEO_SCORES of a scored split by the recipe's video rule."""
    from dfray.evaluation.aggregate import video_scores
    from dfray.evaluation.boxes import read_boxes
    from dfray.evaluation.tracks import track_persons

    store = FacesStore(RunFolder(recipe).faces)
    persons = None
    if recipe.evaluation.video_rule == "max_of_persons":
        persons = track_persons(scores, read_boxes(store, split))
    return video_scores(scores, store.summaries([split]), persons)


def figures_of(recipe: Recipe, scores: pa.Table, by_video: pa.Table, bundle_uri: str) -> Metrics:
    """Figures of the recipe's split at the model's own threshold."""
    from dfray.evaluation.metrics import evaluate as compute

    return compute(
        by_video,
        scores,
        recipe.evaluation,
        recipe.seed,
        threshold=decision_of(bundle_uri).threshold,
        identity_groups=_identity_groups(RunFolder(recipe)),
    )


def evaluation_set(section: EvaluationSection, folder: RunFolder) -> str:
    return f"{section.split}-{FacesStore(folder.faces).fingerprint(section.split)}"


def _store_decision(bundle_uri: str, decision: Decision) -> None:
    from dfray.models.bundle import DESCRIPTION, with_decision

    with storage.local_folder(bundle_uri) as folder:
        description = with_decision(folder, decision)
    storage.write_bytes(description, storage.join(bundle_uri, DESCRIPTION))


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

    folder = RunFolder(recipe)
    store, section = FacesStore(folder.faces), recipe.evaluation
    state, decision = folder.state(), decision_of(folder.model)
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
            "evaluation set": evaluation_set(section, folder),
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

    from dfray.evaluation.evidence import evidence_maps
    from dfray.models.bundle import Bundle

    with storage.local_folder(bundle_uri) as folder:
        yield partial(evidence_maps, Bundle.load(folder))


def _write_table(table: pa.Table, uri: str) -> None:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    storage.write_bytes(buffer.getvalue(), uri)
