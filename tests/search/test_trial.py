"""A trial is a function of its folder: it tells what it has trained and goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dfray.errors import ManifestError
from dfray.models.bundle import Bundle
from dfray.run_folder import RunFolder
from dfray.search import trial as trials
from dfray.search.trial import TrialRecord, TrialSettings, run_trial
from tests.search.kit import searched_recipe, source_of
from tests.search.trials import curve

History = list[dict[str, float]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrialSettings:
    folder = tmp_path_factory.mktemp("trials")
    recipe = searched_recipe(folder)
    return TrialSettings(recipe, source_of(recipe), str(folder / "toy" / "search" / "trials"))


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], History]:
    """Record what a trial reports to Tune; stop it after some epochs as Tune does, by SystemExit."""

    def listening(stop_after: int | None = None) -> History:
        reported: History = []

        def tell(figures: dict[str, float]) -> None:
            reported.append(figures)
            if len(reported) == stop_after:
                raise SystemExit(0)

        monkeypatch.setattr(trials, "report_to_tune", tell)
        return reported

    return listening


def begin(settings: TrialSettings, name: str, weight: float = 0.5) -> dict[str, str]:
    settings.folder(name).begin(int(name[-3:]), {"objective.triplet.weight": weight}, 3, "search")
    return {"id": name}


def test_it_trains_its_parameters_in_a_run_folder_of_its_own(
    settings: TrialSettings, listen
) -> None:
    reported = listen()
    run_trial(begin(settings, "trial-001", weight=0.25), settings)
    stored = settings.read("trial-001")
    assert reported == stored.curve
    assert [epoch["epoch"] for epoch in reported] == [0, 1, 2]
    assert stored.value == max(epoch["val_auc"] for epoch in reported)
    recipe = settings.recipe_of(stored)
    assert recipe.objective.triplet.weight == 0.25
    assert (recipe.seed, recipe.training.num_workers) == (3, 1)
    assert Path(RunFolder(recipe).recipe_file).parent == Path(stored.folder)
    assert not (Path(stored.folder) / "faces").exists()  # the search's own are read


def test_stopped_and_started_again_it_ends_as_if_it_had_not_been(
    settings: TrialSettings, listen
) -> None:
    uninterrupted = listen()
    run_trial(begin(settings, "trial-002"), settings)
    listen(2)
    with pytest.raises(SystemExit):
        run_trial(begin(settings, "trial-003"), settings)
    assert settings.read("trial-003").epochs == 2
    again = listen()
    run_trial({"id": "trial-003"}, settings)
    for name in ("train_loss", "val_loss", "val_auc"):
        assert [epoch[name] for epoch in again] == [epoch[name] for epoch in uninterrupted]


def test_one_that_has_ended_only_tells_what_it_did(settings: TrialSettings, listen) -> None:
    """It has no checkpoint to go on from, and is not trained again for it."""
    folder = settings.folder("trial-004")
    begin(settings, "trial-004")
    folder.write_curve(curve(0.5, 0.6))
    folder.end("stopped")
    reported = listen()
    run_trial({"id": "trial-004"}, settings)
    assert reported == curve(0.5, 0.6)
    assert settings.read("trial-004").epochs == 2


def test_one_that_fails_says_why_and_may_be_tried_again(settings: TrialSettings, listen) -> None:
    listen()
    config = begin(settings, "trial-005")
    broken = replace(
        settings, run=RunFolder(settings.recipe, faces="gone", manifest=settings.run.manifest)
    )
    with pytest.raises(ManifestError) as refused:
        run_trial(config, broken)
    failed = settings.read("trial-005")
    assert (failed.state, failed.error) == ("failed", str(refused.value))
    run_trial(config, settings)
    assert settings.read("trial-005").epochs == 3


def test_the_bundle_is_of_the_epoch_that_is_best_by_the_metric(settings: TrialSettings) -> None:
    trained = Bundle.load(settings.folder("trial-002").model)
    begin(settings, "trial-006")
    record = TrialRecord(settings.folder("trial-006"), "val_log_loss", "min")
    history: History = []
    for epoch, value in enumerate((0.7, 0.4, 0.6, 0.4)):
        history.append({"epoch": epoch, "val_log_loss": value})
        record.keep(replace(trained, threshold=epoch / 10), history)
    model = Path(settings.folder("trial-006").model)
    assert Bundle.load(model).threshold == 0.1  # the first of two that are alike
    assert settings.read("trial-006").curve == history


def test_the_bundle_of_a_trial_is_whole(settings: TrialSettings) -> None:
    bundle = Bundle.load(settings.folder("trial-002").model)
    assert bundle.recipe["name"] == "trial-002"
    assert all(torch.isfinite(weight).all() for weight in bundle.detector.parameters())
