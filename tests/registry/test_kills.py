"""A command that is killed in its middle and run again ends what it began; nothing is done twice.

SIGKILL is an exception here that nothing handles, at the call to MLflow that is named; real kills at all
calls are drawn by tests/faults/test_chaos.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from dfray.errors import UserError
from dfray.registry.promote import rollback
from dfray.registry.versions import CANDIDATE, CHAMPION, PREVIOUS, Versions
from dfray.registry.views import read_history
from dfray.serving.package import MODEL_ID, register
from dfray.tracking.run import Run, start_run
from tests.helpers.scored import measured
from tests.helpers.tiny import RECIPE
from tests.registry.stored_model import StoredModel
from tests.registry.test_promote import promote


class KillError(BaseException):
    """The end of a process that is killed."""


@contextmanager
def killed_at(owner: type, call: str) -> Iterator[None]:
    """Kill whoever calls that method in the block; nothing of the call is done."""

    def kill(*_: Any, **__: Any) -> None:
        raise KillError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, call, kill)
        with pytest.raises(KillError):
            yield


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    model = StoredModel("killed", tmp_path_factory.mktemp("killed"))
    for apart in (2.0, 2.1, 2.2):
        model.add_version(measured(apart))
        promote(*model.place)
    model.add_version(measured(2.3))
    model.keep()
    return model


@pytest.fixture
def model(stored: StoredModel) -> StoredModel:
    """Versions 1, 2 and 3 were made champions, 4 is the candidate."""
    stored.restore()
    return stored


def history(model: StoredModel) -> list[tuple[str, str]]:
    return [(one.action, one.version.number) for one in read_history(*model.place)][3:]


def test_a_promotion_killed_before_its_alias_is_moved_is_ended_by_the_next(
    model: StoredModel, capsys: pytest.CaptureFixture[str]
) -> None:
    with killed_at(Versions, "point"):
        promote(*model.place)
    assert model.versions.aliases()[CHAMPION] == "3"
    record = promote(*model.place)
    assert (record.promoted, record.version.number, record.sequence) == (True, "4", 4)
    assert model.versions.aliases() == {CHAMPION: "4", PREVIOUS: "3", CANDIDATE: "4"}
    assert history(model) == [("promote", "4")]
    told = capsys.readouterr().err
    assert "repaired from the history: the alias champion" in told
    assert "Version 4 of killed is the champion already: promote by" in told


@pytest.mark.parametrize("call", ["point", "unpoint"])
def test_a_rollback_killed_before_an_alias_is_moved_goes_back_once(
    model: StoredModel, call: str
) -> None:
    rollback(*model.place)
    with killed_at(Versions, call):
        rollback(*model.place)
    record = rollback(*model.place)
    assert (record.action, record.version.number, record.sequence) == ("rollback", "1", 5)
    assert model.versions.aliases() == {CHAMPION: "1", CANDIDATE: "4"}
    assert history(model) == [("rollback", "2"), ("rollback", "1")]


def test_a_rollback_whose_aliases_another_command_moved_goes_back_once_too(
    model: StoredModel,
) -> None:
    with killed_at(Versions, "point"):
        rollback(*model.place)
    assert history(model) == [("rollback", "2")]  # which moves the aliases
    assert model.versions.aliases()[CHAMPION] == "2"
    assert rollback(*model.place).version.number == "2"
    assert rollback(*model.place).version.number == "1"
    assert history(model) == [("rollback", "2"), ("rollback", "1")]


def test_a_look_at_the_history_moves_the_aliases_that_a_killed_promotion_left(
    model: StoredModel,
) -> None:
    with killed_at(Versions, "point"):
        promote(*model.place)
    read_history(*model.place)
    assert model.versions.aliases()[CHAMPION] == "4"


def test_a_champion_that_is_lost_is_not_promoted_over_itself(model: StoredModel) -> None:
    promote(*model.place)
    (model.add_version.package("3") / "artifacts/bundle/bundle.json").unlink()
    with pytest.raises(Exception, match=r"version 4 .* damaged: .*bundle.json is gone"):
        promote(*model.place, over_lost_champion=True)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with start_run(RECIPE, f"sqlite:///{tmp_path}/mlflow.db", manifest_fingerprint="m") as run:
        return run


@pytest.fixture
def add(section, run: Run, bundle_dir: Path) -> Callable[..., str]:
    """Registers the run's model, as the registration of a name."""
    found = measured()
    return partial(
        register,
        bundle_dir,
        section=section,
        tracking_uri=run.tracking_uri,
        run_id=run.run_id,
        metrics=found.metrics,
        scores=found.scores,
    )


@pytest.mark.parametrize(
    ("owner", "call"),
    [
        (MlflowClient, "log_model_artifacts"),
        (MlflowClient, "create_model_version"),
        (MlflowClient, "log_artifact"),
        (Versions, "point"),
    ],
)
def test_a_registration_killed_at_any_place_gives_a_run_one_version(
    add: Callable[..., str], section, run: Run, owner: type, call: str
) -> None:
    with killed_at(owner, call):
        add(registration="first")
    assert add(registration="first") == "1"
    assert add(registration="second") == "2"
    versions = Versions(section.model_name, run.tracking_uri)
    assert versions.numbers() == ["1", "2"]
    assert versions.aliases() == {CANDIDATE: "2"}
    stored = run.client.get_run(run.run_id)
    outputs = [output.model_id for output in stored.outputs.model_outputs]
    assert sorted(outputs) == sorted(version.tags[MODEL_ID] for version in versions.all())
    logged = run.client.search_logged_models([stored.info.experiment_id])
    assert sorted(one.model_id for one in logged) == sorted(outputs)
    assert promote(section, run.tracking_uri).promoted  # its scores are there


def test_a_registration_moves_the_aliases_that_a_killed_promotion_left(
    add: Callable[..., str], section, run: Run
) -> None:
    add(registration="first")
    with killed_at(Versions, "point"):
        promote(section, run.tracking_uri)
    add(registration="second")
    assert Versions(section.model_name, run.tracking_uri).aliases() == {
        CHAMPION: "1",
        CANDIDATE: "2",
    }


def test_a_champion_by_hand_alone_is_not_promoted_again(section, tracking_uri, add_version) -> None:
    Versions(section.model_name, tracking_uri).point(CHAMPION, add_version(measured()))
    with pytest.raises(UserError, match="is the champion already, by an alias set by hand"):
        promote(section, tracking_uri)
