"""Notifications of a search's callback while its trials run; the local Ray has eight CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.search import tuner
from dfray.search.tuner import TrialCallback
from tests.search.trials import settings_of

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(("workers", "fit"), [(4, True), (9, False)])
def test_it_notifies_whether_a_trial_fits_on_the_nodes_that_are_alive(
    ray_session: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    fit: bool,
) -> None:
    monkeypatch.setattr(tuner, "_CHECK_NODES_EVERY_S", 0.0)
    settings = settings_of(tmp_path, f"search.trial_workers={workers}", "training.num_workers=1")
    notified: list[bool] = []
    TrialCallback(settings, on_trial=print, on_nodes=notified.append).on_step_begin(
        iteration=1, trials=[]
    )
    assert notified == [fit]
