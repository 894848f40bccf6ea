"""What is read of a database without MLflow is what MLflow gives, whatever befell a registered model."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dfray.errors import DfrayError
from dfray.registry.champion import find_version
from dfray.registry.local_registry import SCHEMAS, stored_version
from dfray.registry.promote import rollback
from dfray.registry.versions import CHAMPION, PREVIOUS
from tests.registry.stored_model import StoredModel

NAME = "two champions"
ENDS = ("@champion", "@candidate", "@previous", "/1", "/2", "/3", "/9", "/01")
REFERENCES = (None, *(f"models:/{NAME}{end}" for end in ENDS), "models:/gone/1", "nothing")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return StoredModel.with_two_champions(tmp_path_factory.mktemp("MLflow für alle"))


@pytest.fixture
def model(made: StoredModel) -> StoredModel:
    """Version 1 was the champion, version 2 is it, version 3 is the candidate."""
    made.restore()
    with closing(sqlite3.connect(made.folder / "mlflow.db")) as database:
        (schema,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    if schema not in SCHEMAS:
        pytest.skip(f"another MLflow, whose schema {schema} is left to it")
    return made


def by_mlflow(reference: str | None, uri: str) -> tuple[str, str] | None:
    try:
        versions, number = find_version(reference, uri)
    except DfrayError:
        return None
    return versions.name, number


def nothing(model: StoredModel) -> None:
    pass


def roll_back(model: StoredModel) -> None:
    rollback(*model.place)


def point_elsewhere(model: StoredModel) -> None:
    model.versions.point(CHAMPION, "3")


def take_previous(model: StoredModel) -> None:
    model.versions.unpoint(PREVIOUS)


def delete_champion(model: StoredModel) -> None:
    model.versions.client.delete_model_version(NAME, "2")


def delete_previous(model: StoredModel) -> None:
    model.versions.client.delete_model_version(NAME, "1")


def delete_model(model: StoredModel) -> None:
    model.versions.client.delete_registered_model(NAME)


def delete_history(model: StoredModel) -> None:
    model.versions.client.delete_registered_model(f"{NAME}.decisions")


def spoil_history(model: StoredModel) -> None:
    model.versions.client.set_model_version_tag(f"{NAME}.decisions", "1", "dfray.decision", "{}")


def begin_anew(model: StoredModel) -> None:
    delete_model(model)
    client = model.versions.client
    client.create_registered_model(NAME)
    client.create_model_version(NAME, model.add_version.package("0").as_uri())


def add_another_champion(model: StoredModel) -> None:
    client = model.versions.client
    client.create_registered_model("other")
    client.create_model_version("other", model.add_version.package("0").as_uri())
    client.set_registered_model_alias("other", CHAMPION, "1")


@pytest.mark.parametrize(
    ("event", "answered"),
    [
        (nothing, {None, "@champion", "@candidate", "@previous", "/1", "/2", "/3"}),
        (roll_back, {None, "@champion", "@candidate", "/1", "/2", "/3"}),
        (point_elsewhere, {"/1", "/2", "/3"}),
        (take_previous, {"/1", "/2", "/3"}),
        (delete_champion, {"/1", "/3"}),
        (delete_previous, {None, "@champion", "@candidate", "/2", "/3"}),
        (delete_model, set()),
        (delete_history, {"/1", "/2", "/3"}),
        (spoil_history, {"/1", "/2", "/3"}),
        (begin_anew, set()),
        (add_another_champion, {"@champion", "@candidate", "@previous", "/1", "/2", "/3"}),
    ],
)
def test_an_answer_is_that_of_mlflow_and_what_is_not_plain_is_left_to_it(
    model: StoredModel, event: Callable[[StoredModel], None], answered: set[str | None]
) -> None:
    event(model)
    found = {reference: stored_version(reference, model.tracking_uri) for reference in REFERENCES}
    given = {reference for reference, version in found.items() if version is not None}
    assert given == {end if end is None else f"models:/{NAME}{end}" for end in answered}
    for reference, version in found.items():
        if version is None:
            continue
        assert (version.name, version.number) == by_mlflow(reference, model.tracking_uri)
        stored = model.versions.get(version.number)
        assert version.digest == stored.tags["dfray.package_sha256"]
        assert version.place.as_uri() == stored.source


def test_a_package_that_is_not_there_another_schema_and_a_server_are_left_to_mlflow(
    model: StoredModel, tmp_path: Path
) -> None:
    uri = model.champion_uri
    assert stored_version(uri, "http://127.0.0.1:1") is None
    assert stored_version(uri, f"sqlite:///{tmp_path}/none.db") is None
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("no database")
    assert stored_version(uri, f"sqlite:///{tmp_path}/text.db") is None
    model.add_version.package("1").rename(model.folder / "packages" / "elsewhere")
    assert stored_version(uri, model.tracking_uri) is None
    model.restore()
    assert stored_version(uri, model.tracking_uri) is not None
    with closing(sqlite3.connect(model.folder / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'other'")
    assert stored_version(uri, model.tracking_uri) is None


def test_a_model_is_opened_without_mlflow(model: StoredModel) -> None:
    code = (
        "import sys; from dfray.serving.score_files import opened_model\n"
        f"with opened_model(None, {model.tracking_uri!r}) as found: print(found.model)\n"
        "print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"models:/{NAME}/2", "False"]
