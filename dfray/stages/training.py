"""Training of the recipe's model on the run's faces."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from dfray import storage
from dfray.checks.leaks import require_distinct_faces
from dfray.config.training import SELECTION_LOSSES
from dfray.evaluation.named_values import kept_values
from dfray.faces.turn import Turn
from dfray.notes import warn
from dfray.progress import StageLine, counting_actor, stage, watching
from dfray.run_context import RunContext
from dfray.run_status import finished_elsewhere, training_status
from dfray.tracking.curve import LogEpoch, complete
from dfray.tracking.run import Run

History = list[dict[str, float]]
"""Metrics of every epoch."""


def is_trained(run: RunContext) -> bool:
    """Return whether the run's model has been trained to the last epoch."""
    return run.folder.state().history is not None


def train_model(run: RunContext, tracked: Run) -> History:
    """Train the model, keep the bundle of the best epoch, and return the metrics of every epoch.

    Faces that are missing feed the first epoch while they are extracted; those that another run extracts are
    awaited. Needs a connected Ray.

    Raises:
        CheckError: videos in training and in test have equal faces: before the first epoch, or after it if it
            is streamed.
    """
    streams = run.recipe.batches.stream_first_epoch
    with run.extraction_turn() if streams else nullcontext(Turn()) as turn:
        history = _train(run, tracked, turn)
    run.folder.update_state(replace(run.folder.state(), history=history))
    storage.remove_tree(run.folder.checkpoints)  # the model is written
    return history


def _train(run: RunContext, tracked: Run, turn: Turn) -> History:
    from dfray.training.launch import train_detector

    run.faces.note_unchecked()
    stream, recipe, extracted = turn.is_due, run.recipe, run.extracted()
    if not stream:
        require_distinct_faces(run.faces)
    progress = counting_actor()
    with stage("extract + train" if stream else "train", recipe.training.epochs) as line:
        notes = [extracted.note] if stream and extracted.done else []
        for note in [*notes, *pairing_notes(run), *unblended_notes(run)]:
            line.say(note)
        training_line = TrainingLine(line, run.manifest.num_rows if stream else 0)

        def show(counts: dict[str, Any]) -> None:
            if counts.get("streamed"):
                turn.end()  # others may extract while this one trains
            training_line.update(counts)

        with watching(progress, show):
            history = train_detector(
                recipe,
                run.manifest,
                stream=stream,
                progress=progress,
                on_epoch=LogEpoch(tracked),
                folder=run.folder,
                check_streamed=require_distinct_faces,
            )
        best = min(history, key=lambda epoch: epoch["selection_loss"])
        loss = SELECTION_LOSSES[recipe.training.selection]
        line.finish(f"best epoch {best['epoch']:g}, {loss} {best['selection_loss']:.3f}")
    for warning in training_line.warnings:
        warn(warning)
    return history


def reuse_training(run: RunContext) -> None:
    """Take over the finished training of a run of another name that depends on the same, if there is one."""
    source = finished_elsewhere(run)
    if source is None:
        return
    with run.claimed():
        with storage.local_folder(source.model) as model:
            storage.put_folder(model, run.folder.model, last="bundle.json")
        history, reused = source.state().history, source.run_name
        run.folder.update_state(replace(run.folder.state(), history=history, reused=reused))


def log_training(run: RunContext) -> History:
    """Log what MLflow lacks of the trained epochs, and return their metrics.

    Raises:
        RegistryError: MLflow does not answer. The model is stored: train again once it does.
    """
    state = run.folder.state()
    history = state.history
    assert history is not None, "the training has ended"
    if not state.logged or state.tracking_uri != run.tracking_place:
        is_same_server = state.run_id is not None and state.tracking_uri == run.tracking_place
        tracked = Run(run.tracking_uri, str(state.run_id)) if is_same_server else run.tracking_run()
        with tracked:
            complete(tracked, history)
            tracked.log_latest(kept_values(history), "kept")
            tracked.set_tags({"dfray.faces_fingerprint": run.faces.fingerprint()})
        run.folder.update_state(replace(run.folder.state(), logged=True))
    return history


def show_trained(run: RunContext) -> None:
    """Draw the line of a training that had ended before."""
    status = training_status(run)
    with stage("train", len(run.folder.state().history or [])) as line:
        line.finish(
            f"{status.state} {status.detail}" if status.state == "reused" else "done before"
        )


class TrainingLine:
    """Progress line of a training: step, losses and, while streaming, extracted videos.

    Args:
        streamed: number of videos that feed the first epoch; 0: all faces are written.
    """

    def __init__(self, line: StageLine, streamed: int) -> None:
        self.warnings: set[str] = set()
        self._line, self._streamed = line, streamed
        self._printed: set[str] = set()

    def update(self, counts: dict[str, Any]) -> None:
        """Draw the values that the workers reported."""
        detail = counts.get("waiting") or self._detail(counts) or "starting workers"
        self._line.update(done=counts.get("epoch", 0), detail=detail)
        for note in (*counts.get("model", ()), *counts.get("resumed", ())):
            if note not in self._printed:
                self._line.say(note)
            self._printed.add(note)
        if "warning" in counts:
            self.warnings.add(counts["warning"])

    def _detail(self, counts: dict[str, Any]) -> str:
        details = [f"step {counts['step']}/{counts['steps']}"] if "step" in counts else []
        details += [f"loss {counts['loss']:.3f}"] if "loss" in counts else []
        details += [f"val {counts['val_loss']:.3f}"] if "val_loss" in counts else []
        videos = int(counts.get("videos", 0))
        if videos < self._streamed:
            details.append(f"{videos}/{self._streamed} videos extracted")
        return ", ".join(details)


def pairing_notes(run: RunContext) -> list[str]:
    """Return a sentence on the training videos that are in pairs, if the recipe pairs them."""
    if run.recipe.batches.pairing is None:
        return []
    from dfray.batches.pairing import count_pairs

    return [str(count_pairs(run.manifest))]


def unblended_notes(run: RunContext) -> list[str]:
    """Return a sentence for each dataset and split whose real faces cannot all be self-blended."""
    if run.recipe.batches.self_blend is None:
        return []
    from dfray.batches.sample import unblendable

    summaries = run.faces.summaries()
    return [
        f"{split}: {without:,} of {count:,} real faces of {dataset} have no landmarks and are not "
        "blended"
        for split in ("train", "val")
        for dataset, (without, count) in unblendable(summaries, split).items()
    ]
