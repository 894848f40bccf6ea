"""The history decides who is champion; aliases follow it, and a champion that is lost is told."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.registry import checksums
from dfray.registry.champion import find_version
from dfray.registry.promote import rollback
from dfray.registry.versions import CHAMPION, PREVIOUS, DamagedPackageError, Versions
from dfray.registry.views import show_version, show_versions
from dfray.serving.score_files import score_files
from dfray.tracking.client import connect
from tests.helpers.forks import fork
from tests.helpers.scored import measured
from tests.registry.promoter import promote_version
from tests.registry.stored_model import StoredModel
from tests.registry.test_promote import promote

Add = Callable[..., str]


@pytest.fixture(scope="module")
def model_with_two_champions(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return StoredModel.with_two_champions(tmp_path_factory.mktemp("two-champions"))


@pytest.fixture
def two_champions(model_with_two_champions: StoredModel) -> StoredModel:
    """Version 1 was the champion, version 2 is it, version 3 is the candidate."""
    model_with_two_champions.restore()
    return model_with_two_champions


def test_a_process_that_dies_between_record_and_alias_is_made_good_by_who_comes_next(
    section, tracking_uri, add_version: Add, tmp_path: Path, capsys
):
    add_version(measured())
    promote(section, tracking_uri)
    add_version(measured())
    (tmp_path / "go").touch()
    name, out = section.model_name, tmp_path / "out"
    died = fork(promote_version, tracking_uri, name, "2", tmp_path, die=True, out=out)
    died.join(60)
    assert died.exitcode == 9
    versions = Versions(section.model_name, tracking_uri)
    assert versions.aliases()[CHAMPION] == "1"
    assert find_version(f"models:/{versions.name}@champion", tracking_uri)[1] == "2"
    assert versions.aliases() == {CHAMPION: "2", PREVIOUS: "1", "candidate": "2"}
    told = capsys.readouterr().err
    assert f"repaired from the history: the alias champion of {versions.name}" in told
    assert "pointed to version 1 and now to version 2" in told
    find_version(f"models:/{versions.name}@champion", tracking_uri)
    assert capsys.readouterr().err == ""


def test_an_alias_moved_past_the_gates_is_moved_back_and_told(two_champions: StoredModel, capsys):
    two_champions.versions.point(CHAMPION, "3")
    _, version = find_version(two_champions.champion_uri, two_champions.tracking_uri)
    assert version == "2"
    assert "pointed to version 3 and now to version 2" in capsys.readouterr().err


def test_a_deleted_champion_is_told_and_nothing_takes_its_place(two_champions: StoredModel):
    two_champions.versions.client.delete_model_version(two_champions.name, "2")
    told = "version 2, has been deleted by hand. It was not replaced"
    with pytest.raises(UserError, match=told):
        promote(*two_champions.place)
    with pytest.raises(UserError, match=told):
        score_files(
            [], model_uri=two_champions.champion_uri, tracking_uri=two_champions.tracking_uri
        )
    assert CHAMPION not in two_champions.versions.aliases()
    assert rollback(*two_champions.place).version.number == "1"
    assert promote(*two_champions.place).champion_before.number == "1"


def test_a_model_begun_anew_under_the_name_of_a_deleted_one_has_other_versions(
    section, tracking_uri, add_version: Add
):
    """MLflow counts its versions from 1 again; the history still means those of before."""
    add_version(measured())
    promote(section, tracking_uri)
    versions = Versions(section.model_name, tracking_uri)
    versions.client.delete_registered_model(versions.name)
    add_version.made = 0
    shutil.rmtree(add_version.package("0"))
    assert add_version(measured()) == "1"
    with pytest.raises(UserError, match="version 1, has been deleted by hand"):
        promote(section, tracking_uri)
    decision = promote(section, tracking_uri, over_lost_champion=True)
    assert (decision.promoted, decision.sequence) == (True, 2)
    assert versions.aliases()[CHAMPION] == "1"


def test_a_lost_champion_is_promoted_over_only_where_that_is_asked_for(two_champions: StoredModel):
    with pytest.raises(UserError, match="No champion of .* is lost"):
        promote(*two_champions.place, over_lost_champion=True)
    two_champions.versions.client.delete_model_version(two_champions.name, "2")
    decision = promote(*two_champions.place, over_lost_champion=True)
    assert decision.promoted
    assert decision.champion_before.number == "2"
    assert decision.reasons[-1] == ("max_slowdown does not apply: the champion, version 2, is lost")
    assert two_champions.versions.aliases()[CHAMPION] == "3"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "artifacts/bundle/bundle.json").write_text("x"), "was changed"),
        (lambda folder: (folder / "artifacts/bundle/bundle.json").unlink(), "bundle.json is gone"),
        (
            lambda folder: (folder / checksums.FILE).write_text(""),
            "not the one that was registered",
        ),
        (shutil.rmtree, "all its files are gone"),
    ],
)
def test_a_champion_whose_package_is_damaged_is_told_and_not_replaced(
    two_champions: StoredModel, damage, told
):
    damage(two_champions.add_version.package("1"))
    with pytest.raises(UserError, match=rf"version 2, is damaged: .*{told}.*It was not replaced"):
        promote(*two_champions.place)
    with pytest.raises(RegistryError, match=told):
        score_files(
            [], model_uri=two_champions.champion_uri, tracking_uri=two_champions.tracking_uri
        )
    (champion,) = [one for one in show_versions(*two_champions.place) if CHAMPION in one.aliases]
    assert champion.damaged
    assert told in champion.package
    assert two_champions.versions.aliases()[CHAMPION] == "2"


def test_a_damaged_candidate_is_not_promoted_and_a_damaged_version_not_rolled_back_to(
    two_champions: StoredModel,
):
    for made in ("0", "2"):
        package = two_champions.add_version.package(made)
        (package / "artifacts/bundle/bundle.json").write_text("other")
    with pytest.raises(DamagedPackageError, match="version 3 of"):
        promote(*two_champions.place)
    with pytest.raises(DamagedPackageError, match="version 1 of"):
        rollback(*two_champions.place)
    assert two_champions.versions.aliases()[CHAMPION] == "2"


def test_a_version_of_before_there_were_checksums_is_not_trusted(
    section, tracking_uri, add_version: Add
):
    add_version(measured())
    versions = Versions(section.model_name, tracking_uri)
    versions.client.delete_model_version_tag(versions.name, "1", checksums.TAG)
    with pytest.raises(DamagedPackageError, match="not registered by this dfray"):
        promote(section, tracking_uri)


def test_a_registered_model_deleted_by_hand_is_told_from_one_that_never_was(
    two_champions: StoredModel,
):
    connect(two_champions.tracking_uri).delete_registered_model(two_champions.name)
    for command in (promote, rollback):
        with pytest.raises(UserError, match=r"has been deleted by hand; 2 decision\(s\) about it"):
            command(*two_champions.place)


def test_show_tells_aliases_figures_and_state(two_champions: StoredModel):
    found = show_versions(*two_champions.place)
    assert [(one.number, one.aliases, one.package) for one in found] == [
        ("3", ("candidate",), "ok"),
        ("2", ("champion",), "ok"),
        ("1", ("previous",), "ok"),
    ]
    assert found[0].metrics == (measured(2.2).metrics,)
    assert show_version(*two_champions.place, "previous") == found[2]
    with pytest.raises(UserError, match="no alias 'best'"):
        show_version(*two_champions.place, "best")


def test_show_tells_of_a_model_that_does_not_exist_once(tracking_uri, capsys):
    with pytest.raises(UserError, match="no registered model 'nobody'"):
        show_versions(RegistrySection(model_name="nobody"), tracking_uri)
    assert capsys.readouterr().err == ""


def test_a_champion_that_plain_mlflow_has_loaded_is_whole_and_code_beside_it_is_named(
    two_champions: StoredModel, capsys
):
    """`mlflow.pyfunc.load_model` writes the file registered_model_meta into a package on a disk."""
    package = two_champions.add_version.package("1")
    (package / "registered_model_meta").write_text("model_name: toy\nmodel_version: '2'\n")
    (champion,) = [one for one in show_versions(*two_champions.place) if CHAMPION in one.aliases]
    assert champion.package == "ok"
    assert capsys.readouterr().err == ""
    (package / "artifacts" / "more.py").write_text("x = 1\n")
    with two_champions.versions.downloaded("2") as folder:
        assert not (folder / "artifacts" / "more.py").exists()
        assert not (folder / "registered_model_meta").exists()
    assert "not its own: artifacts/more.py (code). They are not loaded" in capsys.readouterr().err
    assert rollback(*two_champions.place).version.number == "1"
