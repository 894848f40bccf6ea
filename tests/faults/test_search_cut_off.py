"""A search is hit by all that can hit it, one after the other, and ends with the trials it would have had."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from dfray.run_folder import RunFolder
from dfray.search.result import SearchResult, Trial
from dfray.search.suggest import StudySearch
from dfray.search.trial import TrialSettings
from tests.helpers.cluster import LocalCluster
from tests.helpers.processes import wait_for
from tests.search.kit import searched_recipe, source_of, words

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

LONG = [
    "training={num_workers: 1, epochs: 40, lr: 1.0e-3, warmup_epochs: 1, max_failures: 3}",
    "search={trials: 6, startup_trials: 6, scheduler: none, finalists: 1, seeds: 1, max_concurrent: 2}",
]
RAY_TRAIN_LOOKS_S = 5.0
"""Ray Train takes note of checkpoints every second or two, and loses those that it has not."""


class Search:
    """`dfray search` of the toy on a cluster of two nodes, by drivers that come and go."""

    def __init__(self, cluster: LocalCluster, folder: Path, *changes: str) -> None:
        self.cluster, self.changes = cluster, (*LONG, *changes)
        self.folder, self.recipe = folder, searched_recipe(folder, *self.changes)
        self.root = Path(RunFolder(self.recipe).root, "search")
        self.settings = TrialSettings(
            self.recipe, source_of(self.recipe), str(self.root / "trials")
        )
        self.driver: subprocess.Popen[str] = self.drive()

    def drive(self, *options: str) -> subprocess.Popen[str]:
        self.driver = self.cluster.dfray("search", *options, *words(self.folder, *self.changes))
        return self.driver

    def stop(self, by: signal.Signals, code: int) -> dict[str, Trial]:
        """End the driver; the trials as it left them. The next one must be told to go on with them."""
        self.driver.send_signal(by)
        self.driver.communicate(timeout=60)
        assert self.driver.returncode == code
        left = self.trials()
        self.drive()
        output, _ = self.driver.communicate(timeout=120)
        assert self.driver.returncode == 2
        assert "Resume it (--resume)" in output
        self.drive("--resume")
        return left

    def trials(self) -> dict[str, Trial]:
        found = sorted(Path(self.settings.trials).glob("*/trial.json"))
        return {path.parent.name: self.settings.read(path.parent.name) for path in found}

    def wait_for_epochs(self, more: int) -> dict[str, Trial]:
        """The trials, once so many more epochs than now have been trained, in mid-trial."""
        aim = more + sum(trial.epochs for trial in self.trials().values())
        whole = self.recipe.training.epochs

        def reached() -> bool:
            assert self.driver.poll() is None, self.driver.communicate()[0]
            trials = self.trials().values()
            return sum(t.epochs for t in trials) >= aim and any(
                t.state == "running" and 2 <= t.epochs < whole - 2 for t in trials
            )

        wait_for(reached, 240)
        return self.trials()

    def processes(self, title: str, node: str | None = None) -> list[psutil.Process]:
        found = []
        for process in self.cluster.processes(node):
            try:
                if process.cmdline() and process.cmdline()[0].startswith(title):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self) -> SearchResult:
        output, _ = self.driver.communicate(timeout=600)
        assert self.driver.returncode == 0, output
        return SearchResult.load(str(self.root / "result.json"))


def kept(before: dict[str, Trial], after: dict[str, Trial], late_s: float = 0.0) -> None:
    """Nothing is lost but what had just been told; an epoch never takes the same time twice.

    Args:
        late_s: how long before its last epoch a trial that runs may have told others that are lost.
    """
    for name, trial in before.items():
        assert after[name].parameters == trial.parameters
        sure = trial.curve
        if trial.state == "running":
            sure = [e for e in sure if e["ended_at_s"] < sure[-1]["ended_at_s"] - late_s]
        times = [epoch["seconds"] for epoch in sure]
        assert [epoch["seconds"] for epoch in after[name].curve[: len(times)]] == times


def planned(search: Search, folder: Path) -> list[dict]:
    """The parameters that the search draws when nothing cuts it off."""
    settings = TrialSettings(search.recipe, RunFolder(search.recipe), str(folder / "undisturbed"))
    searcher = StudySearch(settings)
    names = [searcher.suggest(str(number))["id"] for number in range(search.recipe.search.trials)]
    return [settings.read(name).parameters for name in names]


def test_whatever_is_killed_the_same_trials_end_and_none_is_trained_twice(
    two_nodes: LocalCluster, tmp_path: Path
) -> None:
    """A trial's process is its one worker, too."""
    search = Search(two_nodes, tmp_path)
    seen = [search.wait_for_epochs(8)]

    search.processes("ray::ImplicitFunc")[0].kill()
    seen.append(search.wait_for_epochs(20))

    seen.append(search.stop(signal.SIGTERM, 143))
    seen.append(search.wait_for_epochs(20))

    seen.append(search.stop(signal.SIGKILL, -signal.SIGKILL))
    seen.append(search.wait_for_epochs(20))

    two_nodes.kill(next(name for name in two_nodes.nodes() if name != "head"))
    result = search.end()

    after = search.trials()
    for before in seen:
        kept(before, after)
    assert [trial.id for trial in result.trials] == [f"trial-{n:03d}" for n in range(6)]
    assert [trial.parameters for trial in result.trials] == planned(search, tmp_path)
    assert {trial.state for trial in result.trials} == {"finished"}
    assert {trial.epochs for trial in result.trials} == {40}
    runs = [run.id for finalist in result.finalists for run in finalist.runs]
    assert set(after) == {trial.id for trial in result.trials} | set(runs)


def test_trials_of_two_workers_outlive_a_worker_their_own_driver_the_search_s_and_a_node(
    two_nodes: LocalCluster, tmp_path: Path
) -> None:
    few = ("search.trial_workers=2", "search.trials=2", "search.finalists=0")
    search = Search(two_nodes, tmp_path, *few, "training.epochs=120")
    seen = [search.wait_for_epochs(10)]

    search.processes("ray::RayTrainWorker")[0].kill()
    seen.append(search.wait_for_epochs(30))

    search.processes("ray::ImplicitFunc")[0].kill()
    seen.append(search.wait_for_epochs(30))

    seen.append(search.stop(signal.SIGKILL, -signal.SIGKILL))
    seen.append(search.wait_for_epochs(30))

    two_nodes.kill(next(name for name in two_nodes.nodes() if name != "head"))
    result = search.end()

    for before in seen:
        kept(before, search.trials(), RAY_TRAIN_LOOKS_S)
    assert [trial.parameters for trial in result.trials] == planned(search, tmp_path)
    assert [trial.epochs for trial in result.trials] == [120, 120]
    assert {epoch["workers"] for trial in result.trials for epoch in trial.curve} == {2}
