"""A checkpoint that finds its disk full ends the training soon; it goes on once there is room."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dfray.errors import NoSpaceError
from dfray.progress import counting_actor
from dfray.training.launch import train_detector
from tests.helpers.toy import toy_recipe, write_toy_faces

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TOLD_WITHIN_S = 15.0


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))


def test_it_is_told_soon_and_no_epoch_is_lost(ray_session: None, small_disk: Path) -> None:
    recipe = toy_recipe(small_disk, "toy", "training.epochs=3", "training.max_failures=2")
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    write_toy_faces(recipe)

    def fill_after_the_first(epoch: dict[str, float]) -> None:
        if epoch["epoch"] == 0 and not (small_disk / "filler").exists():
            fill(small_disk)
            (small_disk.parent / "filled").write_text(str(time.time()))

    with pytest.raises(NoSpaceError, match=r"worker 0 of 2, .*The disk is full: free some space"):
        train_detector(
            recipe, None, stream=False, progress=counting_actor(), on_epoch=fill_after_the_first
        )
    filled_at = float((small_disk.parent / "filled").read_text())
    assert time.time() - filled_at < TOLD_WITHIN_S
    (small_disk / "filler").unlink()
    history = train_detector(recipe, None, stream=False, progress=counting_actor())
    assert [epoch["epoch"] for epoch in history] == [0, 1, 2]
    assert history[0]["ended_at_s"] < filled_at
