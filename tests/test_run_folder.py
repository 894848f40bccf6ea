"""Run folder: its owner, and the state of its stages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.run_folder import RunFolder, RunsOfName, RunState, names_of_runs
from tests.helpers.toy import toy_recipe

STORED = {
    "run_id": "3f",
    "history": [{"epoch": 0.0, "val_loss": 0.5}],
    "logged": True,
    "measured": {"threshold": 0.5, "wish": {"calibrate": False}},
    "registered": {"threshold": 0.5, "wish": {"calibrate": False}},
    "version": "7",
}


def test_a_run_keeps_the_recipe_that_it_was_created_with(tmp_path: Path) -> None:
    RunFolder(toy_recipe(tmp_path)).claim({"training.lr": 0.001})
    again = RunFolder(toy_recipe(tmp_path, "toy", "cluster.num_cpus=2"))
    again.claim({"training.lr": 0.001})
    assert again.stored_recipe() == toy_recipe(tmp_path)
    assert again.record()["dependencies"] == {"training.lr": 0.001}


def test_the_latest_run_of_a_name_is_pointed_to(tmp_path: Path) -> None:
    runs = RunsOfName(str(tmp_path), "toy")
    assert (runs.latest(), runs.run_keys()) == (None, [])
    folder = runs.folder(toy_recipe(tmp_path), "0123456789ab", "fedcba987654")
    assert folder.faces == f"{tmp_path}/faces/fedcba987654"
    folder.claim()
    runs.point_to(folder)
    assert (runs.latest(), runs.run_keys()) == ("0123456789ab", ["0123456789ab"])
    assert json.loads(Path(runs.root, "latest").read_text())["report"] == folder.report
    assert names_of_runs(str(tmp_path)) == ["toy"]


def test_a_folder_of_an_earlier_dfray_is_refused_with_what_keeps_its_faces(tmp_path: Path) -> None:
    runs = RunsOfName(str(tmp_path), "toy")
    runs.require_keyed("store")
    Path(runs.root).mkdir()
    Path(runs.root, "recipe.yaml").touch()
    with pytest.raises(UserError, match=r"earlier dfray.*move .*toy/faces to store"):
        runs.require_keyed("store")


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
