"""Trials as their folders tell them, without training any."""

from __future__ import annotations

from pathlib import Path

from dfray.config import Recipe
from dfray.run_folder import RunFolder
from dfray.search.result import State, Trial
from dfray.search.trial import TrialSettings
from tests.helpers.toy import toy_recipe


def settings_of(folder: Path, *overrides: str) -> TrialSettings:
    recipe: Recipe = toy_recipe(folder, "toy", *overrides)
    return TrialSettings(recipe, RunFolder(recipe), str(folder / "trials"))


def curve(*values: float, figure: str = "val_auc") -> list[dict[str, float]]:
    return [{"epoch": epoch, figure: value} for epoch, value in enumerate(values)]


def trial(number: int, state: State = "finished", *values: float, **changes) -> Trial:
    defaults = {
        "id": f"trial-{number:03d}",
        "number": number,
        "parameters": {"objective.triplet.weight": float(number)},
        "seed": 0,
        "kind": "search",
        "state": state,
        "curve": curve(*values),
        "value": max(values, default=None),
        "epochs": len(values),
        "run_id": None,
        "folder": f"trials/trial-{number:03d}",
        "error": "it broke" if state == "failed" else None,
    }
    return Trial(**defaults | changes)
