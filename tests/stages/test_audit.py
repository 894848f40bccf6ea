"""The audit of a run: leaks that were planted into it are refused, written down and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dfray import stages
from dfray.config import Recipe
from dfray.errors import CheckError
from dfray.render.audit import show_audit
from dfray.run_context import RunContext
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_run
from tests.helpers.toy import toy_recipe

STREAM = {"codec": "h264", "width": 640, "height": 360, "fps": 25.0}


def rows(leak: bool) -> list[tuple[dict, list[np.ndarray]]]:
    """Return videos of train and test; with a leak, one of each split has equal faces and stated people."""
    rng, crop = np.random.default_rng(0), np.zeros((32, 32, 3), np.uint8)
    videos = []
    for number in range(48):
        make = fake_row if number % 2 else video_row
        split = "train" if number % 4 < 2 else "test"
        video = make(f"{number:03d}", split=split, identity=f"{split}-{number}", **STREAM)
        rate = int(rng.lognormal(12, 0.3)) * (8 if leak and number % 2 else 1)
        hashes = [int(value) for value in rng.integers(0, 2**64, 3, dtype=np.uint64)]
        video |= {"bit_rate": rate, "hashes": hashes, "faces_digest": f"digest-{number}"}
        videos.append((video, [crop] * 3))
    if leak:
        videos[2][0]["faces_digest"] = "digest-0"
        videos[6][0]["hashes"] = videos[4][0]["hashes"]
    return videos


@pytest.fixture
def recipe(tmp_path: Path, request: pytest.FixtureRequest) -> Recipe:
    recipe = toy_recipe(tmp_path, "toy", "faces.rate_fps=1")
    write_run(recipe, rows(request.param))
    return recipe


@pytest.mark.parametrize("recipe", [True], indirect=True)
def test_planted_leaks_are_found_refused_and_kept(recipe: Recipe, capsys) -> None:
    run = RunContext.of(recipe)
    audit = stages.audit(run)
    states = {verdict.part: verdict.state for verdict in audit.verdicts}
    assert states == {
        "equal files": "ok",
        "equal faces": "refuse",
        "near-duplicates": "warn",
        "people in training and test": "unknown",
        "metadata": "warn",
        "stratified AUC": "unknown",
    }
    stored = json.loads(Path(run.folder.audit, "audit.json").read_text())
    assert [verdict["state"] for verdict in stored["verdicts"]] == list(states.values())
    assert "toy/camera/000" in Path(run.folder.audit, "audit.html").read_text()
    with pytest.raises(CheckError, match=r"in training and in test \(equal faces: 1 group"):
        show_audit(audit, run.folder.audit)
    shown = capsys.readouterr().out
    assert "toy/camera/000 (train) = toy/camera/002 (test)" in shown
    assert "toy/camera/004 (train) ~ toy/camera/006 (test), 3 of 3 frames" in shown
    assert "a shortcut" in shown


@pytest.mark.parametrize("recipe", [False], indirect=True)
def test_without_them_nothing_is_refused_and_nothing_warned_of(recipe: Recipe, capsys) -> None:
    run = RunContext.of(recipe)
    audit = stages.audit(run)
    assert not {"refuse", "warn"} & {verdict.state for verdict in audit.verdicts}
    show_audit(audit, run.folder.audit, as_json=True)
    assert json.loads(capsys.readouterr().out)["n_videos"] == 48


@pytest.mark.parametrize("recipe", [False], indirect=True)
def test_an_audit_before_the_extraction_tells_what_is_not_known(recipe: Recipe) -> None:
    other = recipe.model_copy(update={"faces": recipe.faces.model_copy(update={"size_px": 48})})
    states = {
        verdict.part: verdict.state for verdict in stages.audit(RunContext.of(other)).verdicts
    }
    assert states["equal files"] == "ok"
    assert states["equal faces"] == states["metadata"] == "unknown"
