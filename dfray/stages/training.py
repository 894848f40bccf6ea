"""From faces to a trained model."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa

from dfray.config import Recipe
from dfray.datasets import manifest as manifests
from dfray.faces.shards import FacesStore
from dfray.progress import counting_actor, stage, watching
from dfray.run_folder import RunFolder
from dfray.session import require_cluster, session
from dfray.stages.data import count_done, extract, manifest_of, told_done
from dfray.tracking.curve import LogEpoch, complete
from dfray.tracking.run import Run


def train(recipe: Recipe, *, verbose: bool = False) -> list[dict[str, float]]:
    """Train the recipe's model, and keep the bundle of the best epoch.

    Where faces are missing they are extracted first, or feed the first epoch as they come
    (batches.stream_first_epoch). MLflow may be away in between; at the end it must have every epoch.

    Returns:
        The figures of every epoch.

    Raises:
        RegistryError: MLflow is away at the end. The model is kept: run it again once it is back.
    """
    folder = RunFolder(recipe)
    if "history" not in folder.state():
        require_cluster(recipe.cluster)
    folder.claim()
    if history := folder.state().get("history"):
        with stage("train", len(history)) as line:
            line.finish("was done before")
    else:
        folder.remember(history=_train_now(recipe, verbose))
    state = folder.state()
    if not state.get("logged"):
        tracked = Run(tracking_uri(recipe), state["run_id"])
        complete(tracked, state["history"])
        tracked.set_tags({"dfray.faces_fingerprint": FacesStore(folder.faces).fingerprint()})
        folder.remember(logged=True)
    return state["history"]


def _train_now(recipe: Recipe, verbose: bool) -> list[dict[str, float]]:
    from dfray.training.classes import require_trainable_classes

    videos = manifest_of(recipe)
    if recipe.batches.self_blend is None:  # else real videos are enough; the sample asks for them
        manifests.require_both_classes(videos, ("train", "val"))
    require_trainable_classes(recipe, videos)
    tracked = tracking_run(recipe, videos)
    with session(recipe.cluster, verbose=verbose):
        missing = videos.num_rows - count_done(FacesStore(RunFolder(recipe).faces), videos)
        stream = missing > 0 and recipe.batches.stream_first_epoch
        if missing and not stream:
            extract(recipe, verbose=verbose)
        return _fit(recipe, videos, stream, tracked)


def tracking_run(recipe: Recipe, videos: pa.Table) -> Run:
    """The MLflow run of this recipe's run folder; begun once, entered again afterwards."""
    from dfray.tracking.run import start_run

    folder = RunFolder(recipe)
    tracked = start_run(
        recipe,
        tracking_uri(recipe),
        manifest_fingerprint=manifests.fingerprint(videos),
        run_id=folder.state().get("run_id"),
    )
    folder.remember(run_id=tracked.run_id)
    return tracked


def _fit(recipe: Recipe, videos: pa.Table, stream: bool, tracked: Run) -> list[dict[str, float]]:
    from dfray.training.launch import train_detector

    progress = counting_actor()
    title = "extract + train" if stream else "train"
    told: set[str] = set()
    warned: set[str] = set()
    with stage(title, recipe.training.epochs) as line:
        for text in [*_extracted_before(recipe, videos, stream), *not_blended(recipe)]:
            line.say(text)

        def show(counts: dict[str, Any]) -> None:
            parts = [f"step {counts['step']}/{counts['steps']}"] if "step" in counts else []
            parts += [f"loss {counts['loss']:.3f}"] if "loss" in counts else []
            parts += [f"val {counts['val_loss']:.3f}"] if "val_loss" in counts else []
            if stream and counts.get("videos", 0) < videos.num_rows:
                parts.append(f"{int(counts.get('videos', 0))}/{videos.num_rows} videos extracted")
            detail = counts.get("waiting") or ", ".join(parts) or "starting workers"
            line.update(done=counts.get("epoch", 0), detail=detail)
            for text in (*counts.get("model", ()), *counts.get("resumed", ())):
                if text not in told:
                    line.say(text)
                told.add(text)
            warned.update([counts["warning"]] if "warning" in counts else [])

        with watching(progress, show):
            figures = train_detector(
                recipe, videos, stream=stream, progress=progress, on_epoch=LogEpoch(tracked)
            )
        best = min(figures, key=lambda epoch: epoch["selection_loss"])
        line.finish(f"best epoch {best['epoch']:g}, validation loss {best['selection_loss']:.3f}")
    for warning in warned:
        print(warning, file=sys.stderr)
    return figures


def _extracted_before(recipe: Recipe, videos: pa.Table, stream: bool) -> list[str]:
    done = count_done(FacesStore(RunFolder(recipe).faces), videos) if stream else 0
    return [told_done(done, videos.num_rows)] if done else []


def not_blended(recipe: Recipe) -> list[str]:
    """A sentence for each dataset and split whose real faces batches.self_blend cannot all use."""
    if recipe.batches.self_blend is None:
        return []
    from dfray.batches.sample import unblendable

    summaries = FacesStore(RunFolder(recipe).faces).summaries()
    return [
        f"{split}: {without:,} of {count:,} real faces of {dataset} have no landmarks and are not "
        "blended"
        for split in ("train", "val")
        for dataset, (without, count) in unblendable(summaries, split).items()
    ]


def tracking_uri(recipe: Recipe) -> str:
    from dfray.tracking.client import resolve_tracking_uri

    return resolve_tracking_uri(recipe.registry, RunFolder(recipe).work_dir)
