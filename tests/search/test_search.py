"""A real search: on an object store to its end, or refused with the reason."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dfray import stages, storage
from dfray.cli import app
from dfray.errors import CheckError, SearchError, UserError
from dfray.run_context import RunContext
from dfray.tracking.client import connect
from tests.search.kit import searched_recipe, words

pytestmark = pytest.mark.ray
Capture = pytest.CaptureFixture[str]


def test_a_search_lives_on_an_object_store_as_on_a_disk(
    ray_session, bucket: str, tmp_path: Path, capsys: Capture
) -> None:
    overrides = (
        "search={trials: 1, finalists: 0, max_concurrent: 1, scheduler: none}",
        f"registry.tracking_uri=sqlite:///{tmp_path}/mlflow.db",
    )
    result = stages.search(RunContext.of(searched_recipe(bucket, *overrides)))
    arithmetic = "Trials: 1 at once: a trial needs 1 train worker x 1 CPU + 0 data workers"
    printed = capsys.readouterr()
    assert arithmetic in printed.err
    assert not printed.out  # Ray Tune's own chatter would stand among the results
    assert [trial.epochs for trial in result.trials] == [3]
    assert result.winner.folder == f"{bucket}/toy/search/trials/{result.winner.id}"
    assert storage.exists(f"{result.winner.folder}/model/bundle.json")
    assert storage.exists(f"{bucket}/toy/search/search.html")
    arguments = words(bucket, *overrides)
    again = CliRunner().invoke(
        app, ["search", *arguments]
    )  # returns at once; its last line is there to copy
    assert shlex.split(again.stdout.splitlines()[-1]) == ["next", "dfray", "promote", *arguments]


@pytest.mark.parametrize(
    ("space", "refused"),
    [
        ("{model.backbone: {choice: [test_vit, resnet10q]}}", "resnet10q"),
        ("{batches.labels: {choice: [binary, category]}}", "split train has no RE video"),
    ],
)
def test_a_choice_that_no_trial_can_train_is_refused_before_the_first(
    ray_session, tmp_path: Path, space: str, refused: str
) -> None:
    recipe = searched_recipe(tmp_path, f"search.space={space}")
    with pytest.raises(UserError, match=refused):
        stages.search(RunContext.of(recipe))
    assert not (tmp_path / "toy" / "search").exists()


def test_a_space_that_makes_no_recipe_leaves_no_trace(tmp_path: Path) -> None:
    recipe = searched_recipe(tmp_path, "search.space={training.lr: {uniform: [-1, 1]}}")
    with pytest.raises(CheckError, match=r"training.lr"):
        stages.search(RunContext.of(recipe))
    assert not (tmp_path / "toy" / "search").exists()


@pytest.mark.slow
def test_a_search_whose_trials_all_fail_ends_after_a_few_and_says_why(
    ray_session, tmp_path: Path
) -> None:
    recipe = searched_recipe(
        tmp_path,
        "search.trials=6",
        "search.space={training.lr: {log_uniform: [1.0e+30, 1.0e+31]}}",
        "training.max_failures=0",
    )
    with pytest.raises(
        SearchError,
        match=r"None of 3 trials.*worker 0 of 1, epoch 1 of \d+, step \d+: The loss is not finite",
    ) as error:
        stages.search(RunContext.of(recipe))
    assert "--resume" in error.value.hint
    started = sorted(path.parent.name for path in tmp_path.glob("toy/search/trials/*/trial.json"))
    assert started == ["trial-000", "trial-001", "trial-002"]
    client = connect(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = client.search_experiments(
        filter_string=f"name = '{recipe.registry.experiment}'"
    )
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FAILED"}
    assert len(runs) == 4
    assert sum("not finite" in run.data.tags.get("dfray.error", "") for run in runs) == 3
