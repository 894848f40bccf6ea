"""One trial in its Ray Tune process: training with the trial's parameters, each epoch reported to Tune.

A trial is a function of its folder. Started again after an interruption it reports its stored epochs and
resumes from its checkpoint; one that has ended only reports. So a resumed search replays the stored epochs,
and scheduler and sampler return to their state.

One worker trains in the trial's process, which Tune reuses for the next trial, so that nothing is
imported or started twice. Several workers are a Ray Train run of the trial.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dfray import storage
from dfray.config import Recipe
from dfray.errors import DfrayError, first_line, root_error
from dfray.run_folder import RunFolder
from dfray.search.concurrency import trains_in_process
from dfray.search.folder import TrialFolder
from dfray.search.result import Trial
from dfray.search.space import trial_recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dfray.models.bundle import Bundle
    from dfray.training.context import History
    from dfray.training.learner import Learner


@dataclass(frozen=True)
class TrialSettings:
    """Settings that all trials of a search share.

    Attributes:
        recipe: the search's own, `work_dir` absolute.
        run: folder of the search's run, whose manifest and faces all trials read.
        trials: URI of the folder of their folders.
        use_gpu: train each trial's worker on a GPU.
    """

    recipe: Recipe
    run: RunFolder
    trials: str
    use_gpu: bool = False

    def folder(self, name: str) -> TrialFolder:
        """Return the folder of one trial."""
        return TrialFolder(storage.join(self.trials, name))

    def read(self, name: str) -> Trial:
        """Return one trial with the epochs that it has reported."""
        section = self.recipe.search
        return self.folder(name).read(section.metric_key, section.mode)

    def recipe_of(self, trial: Trial) -> Recipe:
        """Return the recipe that the trial trains; its run folder is the trial's folder."""
        identity = {"name": trial.id, "work_dir": self.trials, "seed": trial.seed}
        return trial_recipe(self.recipe, trial.parameters).model_copy(update=identity)


def tune_config(trial_id: str) -> dict[str, str]:
    """Return a trial's config in Ray Tune, which takes dicts only: its id; its folder has the rest."""
    return {"id": trial_id}


def trial_id_of(config: Mapping[str, Any]) -> str:
    """Return the trial's id from its config in Ray Tune."""
    return str(config["id"])


def run_trial(config: Mapping[str, Any], settings: TrialSettings) -> None:
    """Train the trial of `config` to its last epoch, or until Tune stops it."""
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")  # to release this process
    trial = settings.read(trial_id_of(config))
    for metrics in trial.curve:
        report_to_tune(metrics)
    if trial.state in ("finished", "stopped"):
        return
    section, trial_folder = settings.recipe.search, settings.folder(trial.id)
    try:
        recipe = settings.recipe_of(trial)
        folder = RunFolder(recipe, faces=settings.run.faces, manifest=settings.run.manifest)
        folder.claim()
        record = TrialRecord(trial_folder, section.metric_key, section.mode)
        if trains_in_process(settings.recipe):
            _train_in_process(recipe, folder, TuneContext(record, use_gpu=settings.use_gpu))
        else:
            _train_on_workers(recipe, folder, record)
    except Exception as error:
        trial_folder.end("failed", _reason(error))  # Tune may retry, which overwrites it
        raise


def _reason(error: Exception) -> str:
    cause = root_error(error)
    return str(cause) if isinstance(cause, DfrayError) else first_line(cause)


def report_to_tune(metrics: dict[str, float]) -> None:
    """Report one epoch's metrics to Tune; does not return if Tune stops the trial."""
    from ray import tune

    tune.report(_with_epochs(metrics))


def _with_epochs(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics with the number of trained epochs, by which the scheduler compares trials."""
    return metrics | {"epochs": int(metrics["epoch"]) + 1}


@dataclass(frozen=True)
class TrialRecord:
    """Writer of a trial's curve and of the bundle of the epoch that is best by the search's metric."""

    folder: TrialFolder
    metric_key: str
    mode: Literal["max", "min"]

    def keep(self, bundle: Bundle, history: History) -> None:
        """Store the bundle of the last epoch, if it is the best so far."""
        from dfray.models.bundle import store_bundle

        last = history[-1].get(self.metric_key)
        earlier = [epoch[self.metric_key] for epoch in history[:-1] if self.metric_key in epoch]
        if last is not None and self._is_better(last, earlier):
            store_bundle(bundle, self.folder.model)
        self.folder.write_curve(history)

    def _is_better(self, value: float, earlier: list[float]) -> bool:
        if self.mode == "max":
            return all(value > before for before in earlier)
        return all(value < before for before in earlier)


class TuneContext:
    """Worker context of a trial's single worker, in the trial's process."""

    rank, world_size = 0, 1

    def __init__(self, record: TrialRecord, *, use_gpu: bool) -> None:
        import torch

        self.device: torch.device = torch.device("cuda" if use_gpu else "cpu")
        self.record = record
        self._state = storage.join(record.folder.checkpoint, "state.pt")

    def checkpoint(self) -> AbstractContextManager[str] | None:
        if not storage.exists(self._state):
            return None
        return storage.local_folder(self.record.folder.checkpoint)

    def prepare(self, model: nn.Module) -> nn.Module:
        return model

    def report(self, learner: Learner, history: History) -> None:
        with storage.temporary_folder() as folder:
            learner.save(Path(folder), history)
            self.record.keep(learner.bundle(), history)
            storage.put(f"{folder}/state.pt", self._state)
        report_to_tune(history[-1])


class TuneReporter:
    """Callback that reports the epochs of a Ray Train run to Tune, from the run's controller."""

    def __init__(self) -> None:
        from ray.tune.integration.ray_train import TuneReportCallback

        self._callback = TuneReportCallback()

    def __call__(self, metrics: dict[str, float]) -> None:
        self._callback.after_report(None, [_with_epochs(metrics)], None)


def _train_in_process(recipe: Recipe, folder: RunFolder, context: TuneContext) -> None:
    from dfray.training.launch import worker_config
    from dfray.training.worker import Worker

    worker = Worker(worker_config(recipe, folder), context)
    with worker.position:
        worker.run()


def _train_on_workers(recipe: Recipe, folder: RunFolder, record: TrialRecord) -> None:
    import pyarrow as pa

    from dfray.progress import counting_actor
    from dfray.session import quieten
    from dfray.training.launch import train_detector

    quieten(verbose=False)
    train_detector(
        recipe,
        pa.table({}),
        stream=False,
        progress=counting_actor(),
        on_epoch=TuneReporter(),
        folder=folder,
        record=record,
    )
