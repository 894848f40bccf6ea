"""Promotion, refusal and rollback, on a real MLflow registry."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.registry import promote as module
from dfray.registry.champion import find_version
from dfray.registry.measurement_store import load_headline_metrics
from dfray.registry.measurements import Measurement
from dfray.registry.versions import CHAMPION, PREVIOUS, Versions
from dfray.registry.views import read_history as history
from tests.helpers.registry import VersionMaker
from tests.helpers.scored import measured

Add = Callable[..., str]
rollback = module.rollback


def scored_already(version: str, bundle: Path) -> Measurement:
    pytest.fail(f"version {version} was scored again")


def promote(section, tracking_uri, version=None, *, measure=scored_already, slowdown=1.0, **more):
    return module.promote(
        section, tracking_uri, version, measure=measure, slowdown=lambda *_: slowdown, **more
    )


def aliases(section: RegistrySection, tracking_uri: str) -> dict[str, str]:
    found = Versions(section.model_name, tracking_uri).aliases()
    return {alias: version for alias, version in found.items() if alias != "candidate"}


def crown(section, tracking_uri, add_version: Add, *arguments, **options) -> None:
    """Register a version and make it the champion by its alias, as if nothing had been recorded."""
    number = add_version(*arguments, **options)
    Versions(section.model_name, tracking_uri).point(CHAMPION, number)


def test_the_first_champion_needs_the_absolute_gates_only(section, tracking_uri, add_version: Add):
    add_version(measured())
    decision = promote(section, tracking_uri, who="Ada")
    assert decision.promoted
    assert decision.notes == ()
    assert decision.version.number == "1"
    assert aliases(section, tracking_uri) == {CHAMPION: "1"}
    assert (decision.who, decision.champion_before, decision.champion) == ("Ada", None, None)
    assert decision.when.endswith("+00:00")
    assert decision.reasons[0].endswith("reaches the 0.7500 required")
    assert decision.reasons[-1] == "max_slowdown does not apply: there is no champion"


def test_a_worse_candidate_is_refused_with_the_reason(section, tracking_uri, add_version: Add):
    crown(section, tracking_uri, add_version, measured(3.0))
    add_version(measured(1.4, own=1))
    refusal = promote(section, tracking_uri)
    assert not refusal.promoted
    assert "AUC over all videos" in refusal.reasons[0]
    assert "is not above -0.0300" in refusal.reasons[0]
    assert aliases(section, tracking_uri) == {CHAMPION: "1"}


def test_models_of_faces_taken_in_different_ways_are_compared_with_a_note(
    section, tracking_uri, add_version: Add
):
    crown(section, tracking_uri, add_version, measured(3.0), faces_version=1)
    add_version(measured(3.5))
    (note,) = promote(section, tracking_uri).notes
    assert "version 2 learned from faces taken by version 2 of the extraction" in note
    assert "the champion from faces taken by version 1" in note
    assert history(section, tracking_uri)[-1].notes == (note,)


def test_a_better_candidate_becomes_champion_and_the_history_tells_all(
    section, tracking_uri, add_version: Add
):
    add_version(measured(1.5))
    promote(section, tracking_uri)
    add_version(measured(0.1))
    promote(section, tracking_uri)
    add_version(measured(3.0))
    decision = promote(section, tracking_uri)
    assert aliases(section, tracking_uri) == {CHAMPION: "3", PREVIOUS: "1"}
    told = history(section, tracking_uri)
    assert [(d.sequence, d.version.number, d.promoted) for d in told] == [
        (1, "1", True),
        (2, "2", False),
        (3, "3", True),
    ]
    assert told[-1] == decision
    assert decision.champion_before == told[0].version
    assert decision.candidate.auc > decision.champion.auc
    assert decision.commit == told[0].commit != ""


def test_a_slower_candidate_is_refused(section, tracking_uri, add_version: Add):
    crown(section, tracking_uri, add_version, measured(2.0))
    add_version(measured(3.0))
    refusal = promote(section, tracking_uri, slowdown=2.1)
    assert refusal.reasons == (
        "CPU time a face over the champion's 2.1000 is above the 2.0000 allowed",
    )


def test_a_champion_not_scored_on_this_set_is_scored_now_and_once(
    section, tracking_uri, add_version: Add
):
    add_version(measured(4.0, evaluation_set="yesterday"))
    promote(section, tracking_uri)
    add_version(measured(2.0))
    calls = []

    def measure(version: str, bundle: Path) -> Measurement:
        calls.append((version, json.loads((bundle / "bundle.json").read_text())["made"]))
        return measured(1.9)

    first = promote(section, tracking_uri, measure=measure)
    assert calls == [("1", 0)]
    assert first.champion == measured(1.9).metrics  # not yesterday's
    assert first.promoted
    rollback(section, tracking_uri)
    assert promote(section, tracking_uri, "2").champion == measured(1.9).metrics


def test_a_candidate_of_an_old_set_is_scored_again_with_the_champion(
    section, tracking_uri, add_version: Add
):
    crown(section, tracking_uri, add_version, measured(evaluation_set="first"))
    add_version(measured(evaluation_set="second"))
    today = {"1": measured(2.0), "2": measured(2.1)}
    decision = promote(section, tracking_uri, measure=lambda version, _: today[version])
    assert (decision.candidate, decision.champion) == (today["2"].metrics, today["1"].metrics)


def test_a_set_that_changes_under_way_is_an_error(section, tracking_uri, add_version: Add):
    crown(section, tracking_uri, add_version, measured())
    add_version(measured(evaluation_set="other"))
    with pytest.raises(RegistryError, match="different sets"):
        promote(section, tracking_uri, measure=lambda version, _: measured(evaluation_set=version))


def test_what_the_gates_ask_for_and_was_not_measured_is_measured_now(
    section, tracking_uri, add_version: Add
):
    gates = section.gates.model_copy(update={"max_post_processing_drop": 0.2})
    asking = section.model_copy(update={"gates": gates})
    add_version(measured())
    with_drop = measured(worst_drop=0.1, worst_kind="jpeg")
    decision = promote(asking, tracking_uri, measure=lambda *_: with_drop, dry_run=True)
    assert decision.promoted
    missing = promote(asking, tracking_uri, measure=lambda *_: measured())
    assert missing.reasons == (
        "worst drop of AUC under post-processing could not be measured, and 0.2000 is allowed: name "
        "kinds in evaluation.post_processing and evaluate again",
    )


def test_a_dry_run_decides_but_changes_nothing(section, tracking_uri, add_version: Add):
    add_version()
    decision = promote(section, tracking_uri, measure=lambda *_: measured(), dry_run=True)
    assert decision.promoted
    assert decision.sequence is None
    assert aliases(section, tracking_uri) == {}
    assert history(section, tracking_uri) == []
    assert load_headline_metrics(Versions(section.model_name, tracking_uri), "1") is None


def test_rollback_goes_back_one_champion_at_a_time(section, tracking_uri, add_version: Add):
    for apart in (2.0, 2.1, 2.2):
        add_version(measured(apart))
        promote(section, tracking_uri)
    decision = rollback(section, tracking_uri, who="Grace")
    assert decision.action == "rollback"
    assert (decision.version.number, decision.champion_before.number) == ("2", "3")
    assert decision.who == "Grace"
    assert "undoes decision 3" in decision.reasons[0]
    assert aliases(section, tracking_uri) == {CHAMPION: "2", PREVIOUS: "1"}
    assert rollback(section, tracking_uri).version.number == "1"
    assert aliases(section, tracking_uri) == {CHAMPION: "1"}
    with pytest.raises(UserError, match="version 1 is the first"):
        rollback(section, tracking_uri)


def test_rollback_of_a_version_promoted_twice(section, tracking_uri, add_version: Add):
    add_version(measured())
    add_version(measured())
    for version in ("1", "2", "1"):
        promote(section, tracking_uri, version)
    assert [rollback(section, tracking_uri).version.number for _ in range(2)] == ["2", "1"]
    with pytest.raises(UserError, match="no champion"):
        rollback(section, tracking_uri)


def test_rollback_before_any_promotion(section, tracking_uri, add_version: Add):
    add_version(measured())
    with pytest.raises(UserError, match="none was promoted yet"):
        rollback(section, tracking_uri)


def test_rollback_to_a_deleted_version_is_refused(section, tracking_uri, add_version: Add):
    for _ in range(2):
        add_version(measured())
        promote(section, tracking_uri)
    Versions(section.model_name, tracking_uri).client.delete_model_version(section.model_name, "1")
    with pytest.raises(UserError, match="version 1 of .* has been deleted"):
        rollback(section, tracking_uri)
    assert aliases(section, tracking_uri)[CHAMPION] == "2"


def test_an_alias_that_does_not_exist_lists_those_that_do(section, tracking_uri, add_version: Add):
    add_version(measured())
    with pytest.raises(UserError, match=r"no alias 'canddate'.*candidate \(version 1\)"):
        promote(section, tracking_uri, "canddate")
    with pytest.raises(UserError, match=r"no version 7\. Its versions: 1"):
        promote(section, tracking_uri, "7")


def test_a_model_that_does_not_exist(tracking_uri):
    with pytest.raises(UserError, match="no registered model 'nobody'"):
        promote(RegistrySection(model_name="nobody"), tracking_uri)
    with pytest.raises(UserError, match="no registered model 'nobody'"):
        rollback(RegistrySection(model_name="nobody"), tracking_uri)
    with pytest.raises(UserError, match="no registered model 'nobody'"):
        history(RegistrySection(model_name="nobody"), tracking_uri)


def test_a_protocol_that_does_not_exist_stops_the_promotion(
    section, tracking_uri, add_version: Add
):
    add_version(measured())
    gates = section.gates.model_copy(update={"protocols": ["papr"]})
    with pytest.raises(UserError, match="No protocol is called 'papr'"):
        promote(section.model_copy(update={"gates": gates}), tracking_uri)


def test_without_a_name_the_champion_must_be_the_only_one(section, tmp_path):
    tracking_uri = f"sqlite:///{tmp_path}/mlflow.db"
    add_version = VersionMaker(section, tracking_uri, tmp_path)
    crown(section, tracking_uri, add_version)
    assert find_version(None, tracking_uri)[1] == "1"
    other = Versions(f"{section.model_name}-2", tracking_uri)
    source = Versions(section.model_name, tracking_uri).get("1").source
    other.client.create_registered_model(other.name)
    other.client.create_model_version(other.name, source)
    other.point(CHAMPION, "1")
    with pytest.raises(UserError, match=f"Several models have .*models:/{other.name}@champion"):
        find_version(None, tracking_uri)


def test_a_model_whose_alias_was_set_before_there_were_decisions_keeps_it(
    section, tracking_uri, add_version: Add
):
    add_version(measured())
    versions = Versions(section.model_name, tracking_uri)
    versions.point(CHAMPION, "1")
    assert find_version(f"models:/{versions.name}@champion", tracking_uri)[1] == "1"
    add_version(measured(2.1))
    assert promote(section, tracking_uri).champion_before == versions.identify("1")
    assert rollback(section, tracking_uri).version.number == "1"
    assert replace(history(section, tracking_uri)[0], sequence=None).after == 0
