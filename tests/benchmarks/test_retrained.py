"""The difference of two settings as the search's benchmark prints it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from tests.benchmarks.retrained import difference, retrained

LABELS = np.arange(60) % 2


def scored(noise: float, seed: int, unscored: int = 0) -> pa.Table:
    """Video scores whose fakes lie higher, the more so the less the noise; in the order of their names."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(LABELS + rng.normal(0, noise, len(LABELS)))))
    probabilities = [None] * unscored + scores[unscored:].tolist()
    names = [f"{i:03d}" for i in range(len(LABELS))]
    return pa.table({"video_id": names, "label": LABELS, "fake_probability": probabilities})


def test_a_setting_is_its_auc_for_each_seed_with_mean_and_spread() -> None:
    tables = [scored(1.0, seed) for seed in range(3)]
    result = retrained("w = 0", tables)
    aucs = [roc_auc_score(LABELS, table["fake_probability"].to_numpy()) for table in tables]
    assert result.aucs == pytest.approx(aucs)
    assert result.mean == pytest.approx(np.mean(aucs))
    assert result.spread == pytest.approx(np.std(aucs, ddof=1))
    assert result.videos == "30 real and 30 fake videos"


def test_a_setting_differs_from_itself_by_nothing() -> None:
    same = retrained("a", [scored(1.0, seed) for seed in range(3)])
    result = difference(same, same)
    assert (result.value, result.low, result.high) == (0, 0, 0)


def test_a_plain_difference_is_seen_and_the_interval_holds_it() -> None:
    good, bad = (retrained("", [scored(noise, s) for s in range(3)]) for noise in (0.3, 3.0))
    result = difference(good, bad)
    assert 0 < result.low < result.value < result.high
    assert difference(bad, good).value == -result.value


def test_what_only_seeds_make_is_no_difference() -> None:
    first, second = (
        retrained("", [scored(1.0, seed) for seed in seeds]) for seeds in ((0, 1, 2), (3, 4, 5))
    )
    result = difference(first, second)
    assert result.low < 0 < result.high


def test_the_same_videos_are_drawn_for_both_so_that_hard_videos_cancel_out() -> None:
    tables = [scored(1.0, seed) for seed in range(3)]
    shifted = [
        table.set_column(
            2, "fake_probability", pa.array(table["fake_probability"].to_numpy() * 0.99)
        )
        for table in tables
    ]
    result = difference(retrained("", tables), retrained("", shifted))
    assert result.high - result.low < 1e-9


def test_the_order_of_rows_does_not_matter_and_unscored_videos_do_not_enter() -> None:
    table = scored(1.0, 0, unscored=4)
    turned = table.take(np.arange(len(LABELS))[::-1])
    assert retrained("", [table]).aucs == retrained("", [turned]).aucs
    assert retrained("", [table]).videos == "28 real and 28 fake videos"
