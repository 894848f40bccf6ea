"""Promotion, refusal and rollback, on a real MLflow registry."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.registry.connection import connect
from dfray.registry.gates import Figures
from dfray.registry.history import write_down
from dfray.registry.promote import history, promote, rollback
from dfray.registry.versions import CHAMPION, Versions, find_version

GOOD = Figures(auc=0.9, balanced_accuracy=0.8, coverage=1.0, n_videos=60, evaluation_set="today")
Add = Callable[..., str]


def scored_already(version: str) -> Figures:
    pytest.fail(f"version {version} was scored again")


def champion_of(section: RegistrySection, tracking_uri: str) -> str | None:
    return Versions(section.model_name, tracking_uri).aliases().get(CHAMPION)


def test_the_first_champion_needs_the_absolute_gates_only(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    decision = promote(section, tracking_uri, evaluate=scored_already, who="Ada")
    assert decision.promoted
    assert champion_of(section, tracking_uri) == decision.version == "1"
    assert (decision.who, decision.champion_before, decision.champion) == ("Ada", None, None)
    assert decision.when.endswith("+00:00")
    assert decision.reasons[0] == "AUC 0.9000 reaches the 0.8000 required"


def test_a_worse_candidate_is_refused_with_the_reason(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    promote(section, tracking_uri, evaluate=scored_already)
    add_version(replace(GOOD, auc=0.85))
    refusal = promote(section, tracking_uri, evaluate=scored_already)
    assert not refusal.promoted
    assert refusal.reasons == (
        "AUC 0.8500 does not hold against the champion's 0.9000 (it may lose 0.0200)",
    )
    assert champion_of(section, tracking_uri) == "1"


def test_a_better_candidate_becomes_champion_and_the_history_tells_all(
    section, tracking_uri, add_version: Add
):
    add_version(GOOD)
    promote(section, tracking_uri, evaluate=scored_already)
    add_version(replace(GOOD, auc=0.5))
    promote(section, tracking_uri, evaluate=scored_already)
    add_version(replace(GOOD, auc=0.95))
    decision = promote(section, tracking_uri, evaluate=scored_already)
    assert champion_of(section, tracking_uri) == "3"
    told = history(section, tracking_uri)
    assert [(d.sequence, d.version, d.promoted) for d in told] == [
        (1, "1", True),
        (2, "2", False),
        (3, "3", True),
    ]
    assert told[-1] == decision
    assert (decision.candidate.auc, decision.champion.auc) == (0.95, 0.9)


def test_a_champion_not_scored_on_this_set_is_scored_now_and_once(
    section, tracking_uri, add_version: Add
):
    add_version(replace(GOOD, auc=0.99, evaluation_set="yesterday"))
    promote(section, tracking_uri, evaluate=scored_already)
    add_version(GOOD)
    calls = []

    def evaluate(version: str) -> Figures:
        calls.append(version)
        return replace(GOOD, auc=0.88)

    first = promote(section, tracking_uri, evaluate=evaluate)
    assert calls == ["1"]
    assert first.champion.auc == 0.88  # not yesterday's 0.99
    assert first.promoted
    rollback(section, tracking_uri)
    assert promote(section, tracking_uri, "2", evaluate=scored_already).champion.auc == 0.88


def test_a_candidate_of_an_old_set_is_scored_again_with_the_champion(
    section, tracking_uri, add_version: Add
):
    add_version(replace(GOOD, evaluation_set="first"))
    promote(section, tracking_uri, evaluate=scored_already)
    add_version(replace(GOOD, evaluation_set="second"))
    aucs = {"1": 0.9, "2": 0.91}
    decision = promote(
        section, tracking_uri, evaluate=lambda version: replace(GOOD, auc=aucs[version])
    )
    assert (decision.candidate.auc, decision.champion.auc) == (0.91, 0.9)
    assert {decision.candidate.evaluation_set, decision.champion.evaluation_set} == {"today"}


def test_a_set_that_changes_under_way_is_an_error(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    promote(section, tracking_uri, evaluate=scored_already)
    add_version(replace(GOOD, evaluation_set="other"))
    with pytest.raises(RegistryError, match="different sets"):
        promote(
            section, tracking_uri, evaluate=lambda version: replace(GOOD, evaluation_set=version)
        )


def test_a_dry_run_decides_but_changes_nothing(section, tracking_uri, add_version: Add):
    add_version()
    decision = promote(section, tracking_uri, evaluate=lambda _: GOOD, dry_run=True)
    assert decision.promoted
    assert decision.sequence is None
    assert champion_of(section, tracking_uri) is None
    assert history(section, tracking_uri) == []
    assert Versions(section.model_name, tracking_uri).figures("1") is None


def test_rollback_goes_back_one_champion_at_a_time(section, tracking_uri, add_version: Add):
    for auc in (0.90, 0.91, 0.92):
        add_version(replace(GOOD, auc=auc))
        promote(section, tracking_uri, evaluate=scored_already)
    decision = rollback(section, tracking_uri, who="Grace")
    assert (decision.action, decision.version, decision.champion_before) == ("rollback", "2", "3")
    assert decision.who == "Grace"
    assert "undoes decision 3" in decision.reasons[0]
    assert rollback(section, tracking_uri).version == "1"
    assert champion_of(section, tracking_uri) == "1"
    with pytest.raises(UserError, match="version 1 is the first"):
        rollback(section, tracking_uri)


def test_rollback_of_a_version_promoted_twice(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    add_version(GOOD)
    for version in ("1", "2", "1"):
        promote(section, tracking_uri, version, evaluate=scored_already)
    assert [rollback(section, tracking_uri).version for _ in range(2)] == ["2", "1"]
    with pytest.raises(UserError, match="no champion"):
        rollback(section, tracking_uri)


def test_rollback_before_any_promotion(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    with pytest.raises(UserError, match="none was promoted yet"):
        rollback(section, tracking_uri)


def test_a_deleted_champion_is_reported_and_can_be_rolled_back(
    section, tracking_uri, add_version: Add
):
    for auc in (0.90, 0.91, 0.95):
        add_version(replace(GOOD, auc=auc))
        if auc < 0.95:
            promote(section, tracking_uri, evaluate=scored_already)
    connect(tracking_uri).delete_model_version(section.model_name, "2")
    with pytest.raises(UserError, match="was version 2, and the alias champion is gone, the vers"):
        promote(section, tracking_uri, evaluate=scored_already)
    assert rollback(section, tracking_uri).version == "1"
    assert promote(section, tracking_uri, evaluate=scored_already).champion_before == "1"


def test_rollback_to_a_deleted_version_is_refused(section, tracking_uri, add_version: Add):
    for auc in (0.90, 0.91):
        add_version(replace(GOOD, auc=auc))
        promote(section, tracking_uri, evaluate=scored_already)
    connect(tracking_uri).delete_model_version(section.model_name, "1")
    with pytest.raises(UserError, match="version 1 of .* has been deleted"):
        rollback(section, tracking_uri)
    assert champion_of(section, tracking_uri) == "2"


def test_an_alias_that_does_not_exist_lists_those_that_do(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    with pytest.raises(UserError, match=r"no alias 'canddate'.*candidate \(version 1\)"):
        promote(section, tracking_uri, "canddate", evaluate=scored_already)
    with pytest.raises(UserError, match=r"no version 7\. Its versions: 1"):
        promote(section, tracking_uri, "7", evaluate=scored_already)


def test_a_model_that_does_not_exist(tracking_uri):
    with pytest.raises(UserError, match="no registered model 'nobody'"):
        promote(RegistrySection(model_name="nobody"), tracking_uri, evaluate=scored_already)


def test_the_champion_is_not_promoted_again(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    promote(section, tracking_uri, evaluate=scored_already)
    with pytest.raises(UserError, match="is the champion already"):
        promote(section, tracking_uri, evaluate=scored_already)


def test_the_loser_of_two_decisions_at_once_moves_nothing(
    section, tracking_uri, add_version: Add, monkeypatch
):
    """Between our writing and our reading back, another writes the same sequence number."""
    add_version(GOOD)
    versions = Versions(section.model_name, tracking_uri)
    decision = promote(section, tracking_uri, evaluate=scored_already, dry_run=True)
    ours = versions.client.set_registered_model_tag

    def both(name: str, key: str, value: str) -> None:
        ours(name, key, value)
        ours(name, key, value.replace(decision.who, "somebody else"))

    monkeypatch.setattr(versions.client, "set_registered_model_tag", both)
    with pytest.raises(RegistryError, match="at the same time"):
        write_down(versions, decision)
    assert history(section, tracking_uri)[0].who == "somebody else"


def test_a_decision_fits_a_tag(section, tracking_uri, add_version: Add):
    """MLflow's databases may hold no more than 5,000 characters in a tag."""
    add_version(replace(GOOD, auc=0.9123456789012345))
    promote(section, tracking_uri, evaluate=scored_already, who="u" * 100)
    add_version(replace(GOOD, auc=0.1123456789012345, coverage=0.123456789012345, n_videos=10**9))
    promote(section, tracking_uri, evaluate=scored_already, who="u" * 100)
    tags = connect(tracking_uri).get_registered_model(section.model_name).tags
    assert max(len(value) for value in tags.values()) < 5000


def test_without_a_name_the_champion_must_be_the_only_one(section, tracking_uri, add_version: Add):
    add_version(GOOD)
    promote(section, tracking_uri, evaluate=scored_already)
    other = Versions(f"{section.model_name}-2", tracking_uri)
    source = Versions(section.model_name, tracking_uri).get("1").source
    other.client.create_registered_model(other.name)
    other.client.create_model_version(other.name, source)
    other.point(CHAMPION, "1")
    with pytest.raises(UserError, match=f"Several models have .*models:/{other.name}@champion"):
        find_version(None, tracking_uri)
    found, version = find_version(f"models:/{other.name}@champion", tracking_uri)
    assert (found.name, version) == (other.name, "1")
    assert find_version(f"models:/{other.name}/1", tracking_uri)[1] == "1"
