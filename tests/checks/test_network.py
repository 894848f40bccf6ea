"""Checks of the network: what cannot be built, weights that are not there, a large random start."""

from __future__ import annotations

from pathlib import Path

from dfray.checks import Finding, Subject
from dfray.checks.suite import CHECKS
from dfray.run_context import RunContext
from tests.helpers.toy import toy_recipe

NAMED = {check.name: check for check in CHECKS}


def found(folder: Path, name: str, *overrides: str) -> list[Finding]:
    return list(NAMED[name].findings(Subject(RunContext.of(toy_recipe(folder, "toy", *overrides)))))


def test_a_small_network_from_random_weights_is_no_finding(tmp_path: Path) -> None:
    assert found(tmp_path, "network") == []


def test_random_weights_of_a_large_network_are_a_warning(tmp_path: Path) -> None:
    large = ["model.backbone=vit_base_patch16_224", "model.size_px=224"]
    (finding,) = found(tmp_path, "network", *large)
    assert finding.severity == "warn"
    assert "the 86 million parameters of vit_base_patch16_224 start from random" in finding.message


def test_a_backbone_that_is_none_is_a_finding(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "network", "model.backbone=test_vitt")
    assert "test_vitt" in finding.message
    assert "test_vit" in finding.hint


def test_a_file_of_weights_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "network", f"model.weights={tmp_path}/gone.safetensors")
    assert finding.message == f"model.weights: there is no {tmp_path}/gone.safetensors."


def test_a_value_of_the_space_that_the_recipe_refuses_is_a_finding(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "search space", "search.space={training.epochs: {int: [1, 3]}}")
    assert "training.epochs cannot be searched" in finding.message
