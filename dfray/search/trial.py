"""One trial, where it runs: a recipe with its parameters is trained, epoch after epoch told to Ray Tune.

A trial is a function of its folder. Started again, whoever was killed, it tells what it has trained and goes
on from its checkpoint; one that has ended only tells. So a resumed search plays back what is known, and the
scheduler and the sampler know what they knew.

One worker trains in the trial's own process, which Tune uses again for the next trial: nothing is
imported or started twice. More are a Ray Train run of the trial's own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dfray import storage
from dfray.config import Recipe
from dfray.errors import DfrayError, first_line, root_error
from dfray.run_context import RunContext
from dfray.search.concurrency import trains_alone
from dfray.search.folder import TrialFolder
from dfray.search.result import Trial
from dfray.search.space import trial_recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dfray.run_folder import RunFolder
    from dfray.training.context import History
    from dfray.training.learner import Learner


@dataclass(frozen=True)
class TrialSettings:
    """Settings that all trials of a search share.

    Attributes:
        recipe: the search's own, `work_dir` absolute.
        faces: URI of the faces that all trials read.
        trials: URI of the folder of their folders.
        use_gpu: train each trial's worker on a GPU.
    """

    recipe: Recipe
    faces: str
    trials: str
    use_gpu: bool = False

    def folder(self, name: str) -> TrialFolder:
        return TrialFolder(storage.join(self.trials, name))

    def read(self, name: str) -> Trial:
        section = self.recipe.search
        return self.folder(name).read(section.figure, section.mode)

    def recipe_of(self, trial: Trial) -> Recipe:
        """Return the recipe that the trial trains; its run folder is the trial's folder."""
        named = {"name": trial.id, "work_dir": self.trials, "seed": trial.seed}
        return trial_recipe(self.recipe, trial.parameters).model_copy(update=named)


def run_trial(config: Mapping[str, Any], settings: TrialSettings) -> None:
    """Train the trial `config["id"]` to its end, or until Tune stops it."""
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")  # to let go of this process
    trial = settings.read(config["id"])
    for figures in trial.curve:
        tell_tune(figures)
    if trial.state in ("finished", "stopped"):
        return
    section, own = settings.recipe.search, settings.folder(trial.id)
    try:
        recipe = settings.recipe_of(trial)
        folder = RunContext.of(recipe, faces_uri=settings.faces).folder
        folder.claim()
        record = TrialRecord(own, section.figure, section.mode)
        if trains_alone(settings.recipe):
            _train_here(recipe, folder, TuneContext(record, use_gpu=settings.use_gpu))
        else:
            _train_on_workers(recipe, folder, record)
    except Exception as error:
        own.end("failed", _reason(error))  # Tune may try again; then it ends otherwise
        raise


def _reason(error: Exception) -> str:
    cause = root_error(error)
    return str(cause) if isinstance(cause, DfrayError) else first_line(cause)


def tell_tune(figures: dict[str, float]) -> None:
    """Tell one epoch's figures; does not return if Tune stops the trial."""
    from ray import tune

    tune.report(figures | {"epochs": int(figures["epoch"]) + 1})


@dataclass(frozen=True)
class TrialRecord:
    """Keeps the curve, and the bundle of the epoch that is best by the search's metric."""

    folder: TrialFolder
    figure: str
    mode: Literal["max", "min"]

    def keep(self, saved: Path, history: History) -> None:
        """Keep what `Learner.save` wrote into `saved`, if the last epoch is the best so far."""
        last = history[-1].get(self.figure)
        others = [epoch[self.figure] for epoch in history[:-1] if self.figure in epoch]
        if last is not None and self._is_better(last, others):
            storage.put_folder(saved / "bundle", self.folder.model, last="bundle.json")
        self.folder.keep_curve(history)

    def _is_better(self, value: float, others: list[float]) -> bool:
        if self.mode == "max":
            return all(value > other for other in others)
        return all(value < other for other in others)


class TuneContext:
    """The one worker of a trial, in the trial's own process."""

    rank, world_size = 0, 1

    def __init__(self, record: TrialRecord, *, use_gpu: bool) -> None:
        import torch

        self.device: torch.device = torch.device("cuda" if use_gpu else "cpu")
        self.record = record
        self._state = storage.join(record.folder.checkpoint, "state.pt")

    def checkpoint(self) -> AbstractContextManager[str] | None:
        there = storage.exists(self._state)
        return storage.local_folder(self.record.folder.checkpoint) if there else None

    def prepare(self, model: nn.Module) -> nn.Module:
        return model

    def report(self, learner: Learner, history: History) -> None:
        with tempfile.TemporaryDirectory(prefix="dfray-checkpoint-") as folder:
            learner.save(Path(folder), history)
            self.record.keep(Path(folder), history)
            storage.put(f"{folder}/state.pt", self._state)
        tell_tune(history[-1])


class EpochToTune:
    """Tells Tune the epochs of a Ray Train run, from its controller."""

    def __init__(self) -> None:
        from ray.tune.integration.ray_train import TuneReportCallback

        self._callback = TuneReportCallback()

    def __call__(self, figures: dict[str, float]) -> None:
        told = figures | {"epochs": int(figures["epoch"]) + 1}
        self._callback.after_report(None, [told], None)


def _train_here(recipe: Recipe, folder: RunFolder, context: TuneContext) -> None:
    from dfray.training.launch import worker_config
    from dfray.training.worker import Worker

    config = worker_config(recipe, None, None, folder)
    worker = Worker(config, context)
    with worker.place:
        worker.run(None)


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
        on_epoch=EpochToTune(),
        folder=folder,
        record=record,
    )
