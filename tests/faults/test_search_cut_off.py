"""A search is hit by all that can hit it, one after the other, and ends with the trials it would have had."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from dfray.config import Recipe
from dfray.run_folder import RunFolder
from dfray.search.result import SearchResult, Trial
from dfray.search.suggest import StudySearch
from dfray.search.trial import Job
from tests.helpers.cluster import LocalCluster
from tests.helpers.processes import wait_for
from tests.search.kit import recipe_of, searched_recipe

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

LONG = [
    "training={num_workers: 1, epochs: 40, lr: 1.0e-3, warmup_epochs: 1, max_failures: 3}",
    "search={trials: 6, startup_trials: 6, scheduler: none, finalists: 1, seeds: 1, max_concurrent: 2}",
]
SEARCH = """
import sys
from dfray import stages
from tests.search.kit import recipe_of

stages.search(recipe_of(*sys.argv[1:]), resume=True)
"""


class Search:
    """A search of the toy on a cluster of two nodes, by drivers that come and go."""

    def __init__(self, cluster: LocalCluster, folder: Path, *changes: str) -> None:
        self.cluster, self.folder = cluster, folder
        self.changes = (*LONG, f"cluster.address={cluster.address}", *changes)
        self.recipe: Recipe = searched_recipe(folder, *self.changes)
        run = RunFolder(self.recipe)
        self.job = Job(self.recipe, run.faces, f"{run.root}/search/trials")
        self.driver: subprocess.Popen[str] = self.drive()

    def drive(self) -> subprocess.Popen[str]:
        self.driver = self.cluster.python("-c", SEARCH, str(self.folder), *self.changes)
        return self.driver

    def trials(self) -> dict[str, Trial]:
        found = sorted(Path(self.job.trials).glob("*/trial.json"))
        return {path.parent.name: self.job.read(path.parent.name) for path in found}

    def wait_for_epochs(self, more: int) -> dict[str, Trial]:
        """The trials, once so many more epochs than now have been trained, in mid-trial."""
        aim = more + sum(trial.epochs for trial in self.trials().values())

        def reached() -> bool:
            assert self.driver.poll() is None, self.driver.communicate()[0]
            trials = self.trials().values()
            return sum(t.epochs for t in trials) >= aim and any(
                t.state == "running" and 2 <= t.epochs < 38 for t in trials
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
        return SearchResult.load(f"{RunFolder(self.recipe).root}/search/result.json")


def kept(before: dict[str, Trial], after: dict[str, Trial]) -> None:
    """Nothing is lost but an epoch that had just been told; an epoch never takes the same time twice."""
    for name, trial in before.items():
        assert after[name].parameters == trial.parameters
        times = [epoch["seconds"] for epoch in trial.curve]
        if trial.state == "running":
            times = times[:-1]
        assert [epoch["seconds"] for epoch in after[name].curve[: len(times)]] == times


def planned(search: Search, folder: Path) -> list[dict]:
    """The parameters that the search draws when nothing cuts it off."""
    job = Job(search.recipe, "", str(folder / "undisturbed"))
    searcher = StudySearch(job)
    names = [searcher.suggest(str(number))["id"] for number in range(search.recipe.search.trials)]
    return [job.read(name).parameters for name in names]


def test_whatever_is_killed_the_same_trials_end_and_none_is_trained_twice(
    two_nodes: LocalCluster, tmp_path: Path
) -> None:
    search = Search(two_nodes, tmp_path)
    seen = [search.wait_for_epochs(8)]

    search.processes("ray::ImplicitFunc")[0].kill()  # a trial, and with it its one worker
    seen.append(search.wait_for_epochs(20))

    search.driver.terminate()
    assert search.driver.wait(timeout=60) != 0
    seen.append(search.trials())
    search.drive()
    seen.append(search.wait_for_epochs(20))

    search.driver.kill()
    assert search.driver.wait(timeout=60) == -signal.SIGKILL
    seen.append(search.trials())
    search.drive()
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
    assert json.loads(Path(search.job.folder("trial-000").uri, "end.json").read_text()) == {
        "state": "finished",
        "error": None,
    }


def test_trials_of_two_workers_outlive_a_worker_and_their_own_driver(
    two_nodes: LocalCluster, tmp_path: Path
) -> None:
    search = Search(
        two_nodes, tmp_path, "search.trial_workers=2", "search.trials=2", "search.finalists=0"
    )
    seen = [search.wait_for_epochs(4)]
    search.processes("ray::RayTrainWorker")[0].kill()
    seen.append(search.wait_for_epochs(8))
    search.processes("ray::ImplicitFunc")[0].kill()
    result = search.end()
    for before in seen:
        kept(before, search.trials())
    assert [trial.epochs for trial in result.trials] == [40, 40]
    assert {trial.curve[0]["workers"] for trial in result.trials} == {2}
    assert recipe_of(tmp_path, *search.changes) == search.recipe
