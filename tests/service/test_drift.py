"""Drift of what is sent: its index by the definition, and what it tells shifts from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfray.evaluation.reference import BINS, FACE_PX, Reference, count_face_px
from dfray.service.drift import FEWEST, RECENT, Drift, psi
from dfray.service.task import Scored
from tests.helpers.examined import file_score


def reference(**changes) -> Reference:
    """Validation of 400 videos with even scores, faces of 70 px, and 4 videos without a face."""
    values = {
        "rule": {},
        "real": [2] * BINS,
        "fake": [2] * BINS,
        "real_called_fake": 0,
        "fake_called_fake": 0,
        "ranges": {},
        "face_px": list(count_face_px([70.0] * 900)),
        "no_face": 4,
    }
    return Reference(**values | changes)


def seen(probability: float | None, sizes: list[float]) -> Scored:
    return Scored(file_score("a.mp4", probability), count_face_px(sizes))


def drift_of(probabilities, size: float = 70.0, **changes) -> Drift:
    drift = Drift(reference(**changes))
    for value in probabilities:
        drift.add(seen(value, [] if value is None else [size]))
    return drift


def test_the_index_is_its_definition():
    recent, expected = np.array([30, 70]), np.array([50, 50])
    p, q = (recent + 0.5) / 101, (expected + 0.5) / 101
    assert psi(recent, expected) == pytest.approx(sum((p - q) * np.log(p / q)))
    assert psi(expected, expected) == 0


def test_an_empty_bin_has_a_finite_index():
    assert np.isfinite(psi(np.array([100, 0]), np.array([50, 50])))


def test_files_like_validation_s_have_no_drift():
    found = drift_of(np.random.default_rng(0).random(500)).indices()
    assert set(found) == {"scores", "face_sizes", "no_face"}
    assert all(value < 0.1 for value in found.values())


@pytest.mark.parametrize(
    ("name", "drift"),
    [
        ("scores", drift_of([0.95] * 200)),
        ("face_sizes", drift_of(np.linspace(0, 1, 200), size=300.0)),
        ("no_face", drift_of([None] * 100 + [0.5] * 100)),
    ],
)
def test_each_shift_is_told_by_its_index(name, drift):
    assert drift.indices()[name] > 0.25


def test_few_files_have_no_index():
    assert drift_of([0.5] * (FEWEST - 1)).indices() == {}


def test_a_model_without_validation_s_numbers_has_no_index_but_a_rate():
    drift = Drift(None)
    for _ in range(100):
        drift.add(seen(None, []))
    assert drift.indices() == {}
    assert drift.no_face_rate() == 1.0


def test_numbers_of_an_earlier_dfray_are_compared_as_far_as_they_go():
    assert set(drift_of([0.5] * 100, face_px=None, no_face=None).indices()) == {"scores"}


def test_only_recent_files_count():
    drift = drift_of([None] * 100 + [0.5] * RECENT)
    assert drift.no_face_rate() == 0.0


def test_unreadable_files_do_not_count():
    drift = Drift(reference())
    drift.add(Scored(replace(file_score("a.mp4", None), outcome="unreadable"), ()))
    assert drift.no_face_rate() is None


def test_faces_are_counted_by_the_edges_of_their_bins():
    counts = count_face_px([10.0, FACE_PX[0], 9999.0])
    assert (counts[0], counts[1], counts[-1], sum(counts)) == (1, 1, 1, 3)
