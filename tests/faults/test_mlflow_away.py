"""MLflow away while training runs: training goes on, and at the end nothing is missing."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfray import stages, storage
from dfray.config import Recipe
from dfray.errors import RegistryError, TrainingError
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from dfray.search.tracking import SearchRuns
from dfray.tracking import curve
from dfray.tracking.client import connect
from dfray.tracking.curve import LogEpoch, complete
from dfray.tracking.run import Run, start_run
from tests.helpers.processes import wait_for
from tests.helpers.proxy import FaultProxy, Request
from tests.helpers.runs import write_run
from tests.helpers.toy import toy_recipe, toy_videos
from tests.search.trials import settings_of


@pytest.fixture
def server(mlflow_url: str) -> str:
    return mlflow_url


@pytest.fixture
def proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with FaultProxy(server) as proxy:
        yield proxy


@pytest.fixture
def run(proxy: FaultProxy, tmp_path: Path) -> Run:
    return start_run(toy_recipe(tmp_path), proxy.url, manifest_fingerprint="m")


def figures(epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "val_loss": 1 / (epoch + 1), "ended_at_s": 1e9 + 60 * epoch}


def logged(server: str, run_id: str) -> list[tuple[int, float, float]]:
    """(step, value, seconds since 1970) of every point of the curve, asked past the proxy."""
    points = connect(server).get_metric_history(run_id, "val_loss")
    return [(point.step, point.value, point.timestamp / 1000) for point in points]


def expected(*epochs: int) -> list[tuple[int, float, float]]:
    return [(epoch, 1 / (epoch + 1), 1e9 + 60 * epoch) for epoch in epochs]


def test_epochs_that_end_while_it_is_away_are_logged_once_it_is_back(
    server: str, proxy: FaultProxy, run: Run
):
    log = LogEpoch(run)
    log(figures(0))
    wait_for(lambda: logged(server, run.run_id) == expected(0))
    proxy.is_cut = True
    log(figures(1))
    log(figures(2))
    assert logged(server, run.run_id) == expected(0), "the calls came back all the same"
    proxy.is_cut = False
    wait_for(lambda: logged(server, run.run_id) == expected(0, 1, 2))


def test_what_was_lost_on_the_way_is_made_up_for_at_the_end_and_nothing_is_there_twice(
    server: str, run: Run
):
    run.log_metrics({"val_loss": 1.0}, step=0, at_s=1e9)
    run.log_metrics({"val_loss": 1 / 3}, step=2, at_s=1e9 + 120)
    another_process = Run(run.tracking_uri, run.run_id)
    for _ in range(2):
        complete(another_process, [figures(epoch) for epoch in range(4)])
    assert sorted(logged(server, run.run_id)) == expected(0, 1, 2, 3)


def test_at_the_end_it_is_waited_for_and_that_is_said(
    server: str, proxy: FaultProxy, run: Run, caplog: pytest.LogCaptureFixture
):
    proxy.is_cut = True
    mended = threading.Timer(1.0, proxy.pass_on)
    mended.start()
    with caplog.at_level(logging.WARNING):
        complete(run, [figures(0)])
    mended.join()
    assert logged(server, run.run_id) == expected(0)
    assert "Epoch 0 is logged within 300 s, or training fails." in caplog.text


def test_a_server_that_stays_away_fails_the_end_and_is_not_waited_for_for_ever(
    proxy: FaultProxy, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(curve, "PATIENCE_S", 0.5)
    proxy.is_cut = True
    with pytest.raises(RegistryError, match="MLflow"):
        complete(run, [figures(0)])


def test_what_went_wrong_is_raised_and_that_it_is_away_told_beside_it(
    proxy: FaultProxy, run: Run, caplog: pytest.LogCaptureFixture
):
    proxy.is_cut = True
    with pytest.raises(TrainingError, match="diverged"), run:
        raise TrainingError("It has diverged.", "Train with less.")
    assert f"Run {run.run_id} stays open there." in caplog.text


@pytest.mark.timeout(90)
def test_a_search_that_is_stopped_does_not_wait_for_it(proxy: FaultProxy, tmp_path: Path):
    settings = settings_of(tmp_path)
    trial = settings.folder("trial-000")
    trial.begin(0, {"objective.triplet.weight": 0.5}, 0, "search")
    trial.write_curve([figures(0)])
    runs = SearchRuns(settings, proxy.url, "id", str(tmp_path), "manifest")
    runs.tracked(settings.read(trial.id))
    trial.write_curve([figures(0), figures(1)])
    waited_for = threading.Event()
    proxy.fault = lambda request: waited_for.set()
    proxy.is_cut = True
    runs.notify(settings.read(trial.id))
    assert waited_for.wait(30)
    with pytest.raises(KeyboardInterrupt), runs:
        raise KeyboardInterrupt


class CutOff:
    """Cuts the proxy when the run's second epoch comes by, until a request comes `lasts_s` later."""

    def __init__(self, proxy: FaultProxy, folder: RunFolder, lasts_s: float = math.inf) -> None:
        self.proxy, self.folder, self.lasts_s = proxy, folder, lasts_s
        self.epochs = 0
        self.began_at = self.ended_at = math.inf
        proxy.fault = self.see

    def see(self, request: Request) -> None:
        now = time.time()
        if now >= self.began_at + self.lasts_s:
            self.proxy.pass_on()
            self.ended_at = now
        elif request.target.endswith("/runs/log-batch") and self.folder.state().run_id:
            self.epochs += 1  # params came before the folder knew the run
            if self.epochs == 2:
                self.proxy.is_cut, self.began_at = True, now


def assert_whole(server: str, recipe: Recipe, history: list[dict[str, float]]) -> None:
    """Every epoch is there once, at the millisecond at which it ended."""
    found = logged(server, RunContext.of(recipe).folder.state().run_id)
    told = [(int(e["epoch"]), e["val_loss"], int(1000 * e["ended_at_s"])) for e in history]
    assert sorted((step, value, round(1000 * at)) for step, value, at in found) == told


@pytest.fixture
def recipe(proxy: FaultProxy, tmp_path: Path) -> Recipe:
    tracking = f"registry.tracking_uri={proxy.url}"
    made = toy_recipe(tmp_path, "toy", tracking, "training.num_workers=1")
    write_run(made, toy_videos())
    return made


@pytest.mark.ray
def test_training_ends_without_it_and_once_it_is_back_only_the_log_is_completed(
    ray_session: None,
    server: str,
    proxy: FaultProxy,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(curve, "PATIENCE_S", 0.5)
    CutOff(proxy, RunContext.of(recipe).folder)
    with pytest.raises(RegistryError, match="MLflow"):
        stages.train(RunContext.of(recipe))
    kept = RunContext.of(recipe).folder.state().history
    assert len(kept) == recipe.training.epochs
    assert storage.exists(storage.join(RunContext.of(recipe).folder.model, "bundle.json"))
    proxy.pass_on()
    assert stages.train(RunContext.of(recipe)) == kept
    assert_whole(server, recipe, kept)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_minute_without_it_costs_neither_an_epoch_nor_a_point_of_the_curve(
    ray_session: None, server: str, proxy: FaultProxy, tmp_path: Path
):
    recipe = toy_recipe(tmp_path, "toy", f"registry.tracking_uri={proxy.url}", "training.epochs=50")
    write_run(recipe, toy_videos())
    cut_off = CutOff(proxy, RunContext.of(recipe).folder, lasts_s=60)
    history = stages.train(RunContext.of(recipe))
    ended = [epoch["ended_at_s"] for epoch in history]
    assert len([at for at in ended if cut_off.began_at < at < cut_off.ended_at]) >= 5, "it went on"
    assert_whole(server, recipe, history)
