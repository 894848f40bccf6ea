"""Gates: which figures let a candidate through, and what is said."""

from dataclasses import replace

import pytest

from dfray.config import GatesSection
from dfray.registry.gates import Figures, check_gates

GATES = GatesSection(
    min_auc=0.85,
    min_balanced_accuracy=0.7,
    min_coverage=0.9,
    min_videos=20,
    max_auc_drop=0.02,
    max_coverage_drop=0.05,
)
GOOD = Figures(auc=0.9, balanced_accuracy=0.8, coverage=0.95, n_videos=60, evaluation_set="s")


def failed(candidate: Figures, champion: Figures | None = None) -> list[str]:
    return [result.name for result in check_gates(GATES, candidate, champion) if not result.passed]


@pytest.mark.parametrize(
    ("change", "gates"),
    [
        ({}, []),
        ({"auc": 0.85}, []),
        ({"auc": 0.8499}, ["min_auc"]),
        ({"auc": None}, ["min_auc"]),
        ({"auc": float("nan")}, ["min_auc"]),
        ({"balanced_accuracy": 0.69}, ["min_balanced_accuracy"]),
        ({"balanced_accuracy": None}, ["min_balanced_accuracy"]),
        ({"coverage": 0.89}, ["min_coverage"]),
        ({"n_videos": 19}, ["min_videos"]),
        ({"auc": 0.5, "coverage": 0.5}, ["min_auc", "min_coverage"]),
    ],
)
def test_absolute_gates(change: dict, gates: list[str]) -> None:
    assert failed(replace(GOOD, **change)) == gates


@pytest.mark.parametrize(
    ("champion", "gates"),
    [
        ({"auc": 0.9}, []),
        ({"auc": 0.92}, []),  # exactly the drop allowed, which floats put above 0.9
        ({"auc": 0.921}, ["max_auc_drop"]),
        ({"auc": None}, []),
        ({"coverage": 1.0}, []),
        ({"coverage": 1.0, "auc": 0.99}, ["max_auc_drop"]),
    ],
)
def test_gates_against_the_champion(champion: dict, gates: list[str]) -> None:
    assert failed(GOOD, replace(GOOD, **champion)) == gates


def test_coverage_lost_against_the_champion() -> None:
    assert failed(replace(GOOD, coverage=0.92), replace(GOOD, coverage=0.98)) == [
        "max_coverage_drop"
    ]


def test_every_gate_says_what_it_compared() -> None:
    results = check_gates(GATES, replace(GOOD, auc=0.5), replace(GOOD, auc=0.93))
    sentences = {result.name: result.sentence for result in results}
    assert sentences["min_auc"] == "AUC 0.5000 is below the 0.8500 required"
    assert sentences["min_videos"] == "scored videos 60 reaches the 20 required"
    assert sentences["max_auc_drop"] == (
        "AUC 0.5000 does not hold against the champion's 0.9300 (it may lose 0.0200)"
    )


def test_figures_of_different_sets_do_not_compare() -> None:
    with pytest.raises(ValueError, match="do not compare"):
        check_gates(GATES, GOOD, replace(GOOD, evaluation_set="another"))
