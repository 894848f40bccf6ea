"""Run folder: its owner, and the state of its stages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.run_folder import RunFolder, RunState, differences
from tests.helpers.toy import toy_recipe

STORED = {
    "run_id": "3f",
    "history": [{"epoch": 0.0, "val_loss": 0.5}],
    "logged": True,
    "measured": {"threshold": 0.5, "wish": {"calibrate": False}},
    "registered": {"threshold": 0.5, "wish": {"calibrate": False}},
    "version": "7",
}


def test_a_name_that_belongs_to_another_recipe_is_refused(tmp_path: Path) -> None:
    RunFolder(toy_recipe(tmp_path)).claim()
    RunFolder(toy_recipe(tmp_path, "toy", "cluster.num_cpus=2")).claim()
    with pytest.raises(UserError, match=r"training.lr 0.001 -> 0.1"):
        RunFolder(toy_recipe(tmp_path, "toy", "training.lr=0.1")).claim()


def test_a_measurement_may_change_the_evaluation_and_nothing_else(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    RunFolder(recipe).claim()
    measuring = RunFolder(toy_recipe(tmp_path, "toy", "evaluation.threshold=0.7"))
    assert measuring.claim_to_measure() == recipe
    with pytest.raises(UserError, match=r"seed \d+ -> 8"):
        RunFolder(toy_recipe(tmp_path, "toy", "seed=8")).claim_to_measure()


def test_a_stored_state_is_read_and_written_with_the_same_keys(tmp_path: Path) -> None:
    folder = RunFolder(toy_recipe(tmp_path))
    assert folder.state() == RunState()
    file = Path(folder.root, "state.json")
    file.parent.mkdir()
    file.write_text(json.dumps(STORED))
    state = folder.state()
    assert (state.run_id, state.logged, state.version) == ("3f", True, "7")
    folder.update_state(replace(state, version="8"))
    assert json.loads(file.read_text()) == STORED | {"version": "8"}


def test_a_state_holds_only_the_values_that_are_set() -> None:
    assert json.loads(RunState(run_id="3f").to_json()) == {"run_id": "3f"}


def test_differences_are_listed_by_key() -> None:
    old, new = {"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [1, 3]}}
    assert differences(old, new) == ["a.b 1 -> 2", "a.c [1] -> [1, 3]"]
