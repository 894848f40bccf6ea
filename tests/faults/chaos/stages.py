"""Extractions, trainings and searches whose processes are killed after drawn times, and which are run again.

Each runs in a process with a Ray of its own: the driver, a worker of any kind, a decoding child, the raylet
or the GCS is killed. Workers come back by themselves; a command that has ended is run again. Its result must
be that of an undisturbed run, to the last bit, and each MLflow run and version must be there once.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from dfray.faces.shards import FacesStore
from dfray.registry.versions import Versions
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from dfray.search.result import SearchResult
from dfray.tables import FACES
from dfray.tracking.client import connect
from tests.faults.chaos.tally import Tally
from tests.helpers.commands import DFRAY, plain_environment
from tests.helpers.corpus import write_crowds
from tests.helpers.processes import title
from tests.helpers.runs import store_of, write_run
from tests.helpers.toy import TOY, toy_recipe, toy_videos, toy_words
from tests.search.kit import recipe_of, searched_recipe, words

TITLES = {
    "actor": "ray::MapWorker(MapBatches(ShardExtractor))",
    "child": "dfray.faces.child",
    "worker": "ray::RayTrainWorker",
    "controller": "ray::TrainController",
    "trial": "ray::ImplicitFunc",
    "raylet": "raylet/raylet",
    "GCS": "gcs/gcs_server",
}
FATAL = {"driver", "controller", "raylet", "GCS"}
"""What a command does not outlive."""
TOLD_S = 20.0
"""How soon it ends without its raylet or GCS."""
NO_START, NO_START_S = "dfray: error: Ray does not start", 40.0
"""Its line where these end while Ray starts, and the time for it: Ray itself waits for half a minute."""
END_S = 900.0
TIMES = ("seconds", "ended_at_s", "cpu_s", "shard", "first_row", "attempts")
"""Values that differ from run to run."""


class StageChaos(ABC):
    """A command, its undisturbed result, and a folder for each time that it is killed.

    Attributes:
        command: the stage.
        victims: what is killed of it.
    """

    command: str
    victims: tuple[str, ...]

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder, self.draw, self.tally = folder, draw, Tally()
        self._number = 0
        started = time.monotonic()
        place = self._new_place()
        self._end(self._start(place))
        self.lasts_s = time.monotonic() - started
        self.undisturbed = self.result(place)

    @abstractmethod
    def prepare(self, place: Path) -> None:
        """Write what the command reads."""

    @abstractmethod
    def arguments(self, place: Path) -> list[str]:
        """Return the recipe and overrides of the command in that folder."""

    @abstractmethod
    def result(self, place: Path) -> dict[str, Any]:
        """Return what the command has left, without times."""

    def strike(self) -> None:
        """Kill something of a new run after a drawn time, and again, until it ends; compare its result."""
        place = self._new_place()
        driver = self._start(place)
        for _ in range(self.draw.randint(2, 5)):
            time.sleep(self.draw.uniform(0, 0.6 * self.lasts_s))
            victim = self._kill(driver)
            if victim is None:
                break
            self.tally.add(self.command, victim, list(self._ended(driver, victim, place)))
            if driver.poll() is not None:
                driver = self._start(place, again=True)
        if fault := self._end(driver):
            self.tally.faults.append(f"{self.command}: {fault}")
            return
        found = self.result(place)
        for name, expected in self.undisturbed.items():
            if found[name] != expected:
                self.tally.faults.append(f"{self.command}: {name}: {_first(found[name], expected)}")

    def _ended(self, driver: subprocess.Popen[str], victim: str, place: Path) -> Iterator[str]:
        """Wait for the end of a command that does not outlive a kill; yield what was wrong about it."""
        if victim not in FATAL:
            return
        killed_at = time.monotonic()
        try:
            driver.wait(END_S)
        except subprocess.TimeoutExpired:
            yield f"it did not end within {END_S:g} s"
            driver.kill()
            driver.wait()
        lasted_s = time.monotonic() - killed_at
        time.sleep(1)  # a process that was cut off while Ray started is told by another
        told = self._last_line(place)
        if victim != "driver" and not told.startswith(("dfray: failed: ", NO_START)):
            yield f"it ended with {driver.returncode} after {lasted_s:.0f} s and said {told!r}"
        elif lasted_s > (NO_START_S if told.startswith(NO_START) else TOLD_S):
            yield f"it ended after {lasted_s:.0f} s"

    def _kill(self, driver: subprocess.Popen[str]) -> str | None:
        """Kill the driver, or a process below it, and return of what kind; None: the command has ended."""
        if driver.poll() is not None:
            return None
        below = {process: title(process) for process in _offspring(driver)}
        found = {
            victim: [process for process, name in below.items() if TITLES[victim] in name]
            for victim in self.victims
            if victim != "driver"
        }
        victim = self.draw.choice([v for v in self.victims if v == "driver" or found[v]])
        if victim == "driver":
            driver.kill()
            return victim
        try:
            self.draw.choice(sorted(found[victim], key=lambda process: process.pid)).kill()
        except psutil.NoSuchProcess:  # it has just ended by itself
            return self._kill(driver)
        return victim

    def _new_place(self) -> Path:
        self._number += 1
        place = self.folder / str(self._number)
        place.mkdir()
        self.prepare(place)
        return place

    def _start(self, place: Path, *, again: bool = False) -> subprocess.Popen[str]:
        resume = ["--resume"] if again and self.command == "search" else []
        with (place / "err").open("a") as err:
            return subprocess.Popen(
                [DFRAY, self.command, *resume, *self.arguments(place)],
                cwd=place,
                env=plain_environment(),
                stdout=subprocess.DEVNULL,
                stderr=err,
                text=True,
            )

    def _end(self, driver: subprocess.Popen[str]) -> str | None:
        """Wait for a command that nothing more is killed of; return what it said if it failed."""
        try:
            driver.wait(END_S)
        except subprocess.TimeoutExpired:
            driver.kill()
            return f"it did not end within {END_S:g} s"
        place = self.folder / str(self._number)
        return (
            f"it ended with {driver.returncode}: {self._last_line(place)}"
            if driver.returncode
            else None
        )

    def _last_line(self, place: Path) -> str:
        return ((place / "err").read_text().strip().splitlines() or [""])[-1]


class ExtractionChaos(StageChaos):
    """Extractions of eight clips of twenty heads."""

    command = "extract"
    victims = ("driver", "driver", "actor", "actor", "child", "raylet", "GCS")

    def __init__(self, folder: Path, draw: random.Random) -> None:
        write_crowds(folder / "clips", 8, seconds=2)
        super().__init__(folder, draw)

    def prepare(self, place: Path) -> None:
        """Write nothing: all runs read the same clips."""

    def arguments(self, place: Path) -> list[str]:
        clips = self.folder / "clips"
        changes = [f"work_dir={place}", f"corpora.0.root={clips}", "cluster.extract_workers=2"]
        return [TOY, *changes, "faces.size_px=256", "faces.shard_mb=1"]

    def result(self, place: Path) -> dict[str, Any]:
        store: FacesStore = store_of(place)
        faces = [row for uri in store.shards("train") for row in FACES.read(uri).to_pylist()]
        return {
            "summaries": _rows(store.summaries().to_pylist(), "video_id"),
            "outcomes": _rows(store.outcomes().to_pylist(), "video_id", "frame_index"),
            "faces": _rows(faces, "video_id", "frame_index", "face_index"),
        }


class TrainingChaos(StageChaos):
    """Trainings of two workers on written faces."""

    command = "train"
    victims = ("driver", "driver", "worker", "worker", "controller", "raylet", "GCS")

    def prepare(self, place: Path) -> None:
        write_run(toy_recipe(place), toy_videos())

    def arguments(self, place: Path) -> list[str]:
        return [TOY, *toy_words(place), "training.epochs=8", "training.max_failures=5"]

    def result(self, place: Path) -> dict[str, Any]:
        recipe = toy_recipe(place, "toy", "training.epochs=8", "training.max_failures=5")
        folder = RunContext.of(recipe).folder
        state = folder.state()
        client = connect(str(state.tracking_uri))
        points = client.get_metric_history(str(state.run_id), "val_loss")
        experiment = client.get_run(str(state.run_id)).info.experiment_id
        statuses = Counter(run.info.status for run in client.search_runs([experiment]))
        return {
            "history": [_without_times(epoch) for epoch in state.history or []],
            "weights": _sha256(Path(folder.model) / "model.safetensors"),
            "curve": sorted((point.step, point.value) for point in points),
            "MLflow run": client.get_run(str(state.run_id)).info.status,
            "open MLflow runs": statuses["RUNNING"],
        }


class SearchChaos(StageChaos):
    """Searches of three trials and one finalist, one training at a time."""

    command = "search"
    victims = ("driver", "driver", "trial", "trial", "raylet", "GCS")
    changes = ("search={trials: 3, scheduler: none, finalists: 1, seeds: 1, max_concurrent: 1}",)

    def prepare(self, place: Path) -> None:
        searched_recipe(place, *self.changes)

    def arguments(self, place: Path) -> list[str]:
        return words(place, *self.changes)

    def result(self, place: Path) -> dict[str, Any]:
        recipe = recipe_of(place, *self.changes)
        result = SearchResult.load(str(Path(RunFolder(recipe).root, "search", "result.json")))
        client = connect(result.tracking_uri)
        experiment = client.get_experiment_by_name(recipe.registry.experiment)
        children = client.search_runs(
            [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{result.parent_run_id}'"
        )
        versions = Versions(recipe.registry.model_name, result.tracking_uri).all()
        trials = [*result.trials, *(run for item in result.finalists for run in item.runs)]
        return {
            "trials": [(t.id, t.state, t.parameters, t.seed) for t in trials],
            "curves": [[_without_times(epoch) for epoch in trial.curve] for trial in trials],
            "MLflow runs": Counter(
                (run.data.tags["dfray.trial"], run.info.status) for run in children
            ),
            "versions": [str(version.version) for version in versions],
        }


def _first(found: Any, expected: Any) -> str:
    """Return how a result differs, by its first rows."""
    if not isinstance(expected, list):
        return f"{found}, not {expected}"
    lost = [row for row in expected if row not in found]
    more = [row for row in found if row not in expected or found.count(row) > expected.count(row)]
    return f"{len(lost)} lost, such as {lost[:2]}, {len(more)} more, such as {more[:2]}"


def _offspring(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(driver.pid).children(recursive=True)
    except psutil.Error:
        return []


def _rows(rows: list[dict[str, Any]], *key: str) -> list[str]:
    """Return a digest of each row, in the order of the key; a row that is there twice is there twice."""
    described = sorted((*(row[name] for name in key), _digest(_without_times(row))) for row in rows)
    return [" ".join(map(str, row)) for row in described]


def _digest(row: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:12]


def _without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in TIMES}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
