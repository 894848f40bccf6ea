"""Two models on the same videos: the paired interval, and what is drawn for it."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from dfray.errors import EvaluationError
from dfray.evaluation.operational_metrics import calibration_error
from dfray.evaluation.paired import pair_scores, paired_differences, with_persons
from dfray.evaluation.scopes import Scope, comparison_scopes
from tests.helpers.scored import measured

ALL = {"resamples": 400, "confidence": 0.95, "seed": 0}


def whole(both) -> Scope:
    return comparison_scopes(both.videos)[0]


def both_of(candidate: float, champion: float, **more):
    first, second = measured(candidate, **more), measured(champion, own=1)
    return pair_scores(first.scores, second.scores, 0.5, 0.4)


def test_the_points_are_scikit_learns_at_each_models_own_threshold():
    both = both_of(1.5, 1.0)
    found = paired_differences(both, whole(both), **ALL)
    labels = both.labels
    assert found["auc"].candidate == pytest.approx(roc_auc_score(labels, both.scores[0]))
    assert found["auc"].champion == pytest.approx(roc_auc_score(labels, both.scores[1]))
    for at, (name, threshold) in enumerate((("candidate", 0.5), ("champion", 0.4))):
        called = both.scores[at] >= threshold
        expected = balanced_accuracy_score(labels, called)
        assert getattr(found["balanced_accuracy"], name) == pytest.approx(expected)


def test_a_model_against_itself_differs_by_nothing_however_few_the_videos():
    one = measured(1.0, videos=8).scores
    both = pair_scores(one, one, 0.5, 0.5)
    found = paired_differences(both, whole(both), **ALL)["auc"]
    assert (found.low, found.high) == (0, 0)


def test_what_is_hard_for_both_does_not_widen_the_interval():
    """Unpaired, the interval of the difference of two correlated models is about as wide as either's."""
    both = both_of(1.6, 1.5)
    found = paired_differences(both, whole(both), **ALL)["auc"]
    shuffled = np.random.default_rng(0).permutation(len(both.labels))
    by_label = np.concatenate([shuffled[both.labels[shuffled] == k] for k in (0, 1)])
    order = np.concatenate([np.flatnonzero(both.labels == k) for k in (0, 1)])
    scores = both.scores[1].copy()
    scores[order] = both.scores[1][by_label]  # the champion's scores, dealt out anew in each class
    unpaired = type(both)(both.videos, (both.scores[0], scores), both.thresholds)
    wide = paired_differences(unpaired, whole(both), **ALL)["auc"]
    assert found.high - found.low < 0.7 * (wide.high - wide.low)


def test_people_are_drawn_whole():
    """Every video ten times over is no new evidence, if it is of the same people."""
    first, second = measured(1.5, videos=40).scores, measured(1.0, own=1, videos=40).scores

    def times(table: pa.Table, n: int, *, own: bool) -> pa.Table:
        parts = []
        for copy in range(n):
            for name in ("video_id", "person") if own else ("video_id",):
                values = [f"{value}-{copy}" for value in table[name].to_pylist()]
                table_at = table.column_names.index(name)
                part = (parts[copy] if len(parts) > copy else table).set_column(
                    table_at, name, pa.array(values)
                )
                parts[copy : copy + 1] = [part]
        return pa.concat_tables(parts)

    def width(n: int, *, own: bool) -> float:
        both = pair_scores(times(first, n, own=own), times(second, n, own=own), 0.5, 0.5)
        found = paired_differences(both, whole(both), **ALL)["auc"]
        return found.high - found.low

    once = width(1, own=False)
    assert width(10, own=False) == pytest.approx(once, rel=0.1)
    assert width(10, own=True) < 0.5 * once  # other people each time: ten times the evidence


def test_a_persons_videos_are_told_by_identity_or_source_or_nothing():
    ids = ["a", "b", "c", "d"]
    videos = measured(videos=4).scores.drop_columns(["person"])
    videos = videos.set_column(0, "video_id", pa.array(ids))
    summaries = pa.table(
        {
            "video_id": ids[::-1],
            "identity": [None, None, None, "ada"],
            "source_video": [None, "b", None, "z"],
        }
    )
    assert with_persons(videos, summaries)["person"].to_pylist() == ["ada", "b", "b", "d"]
    assert with_persons(videos, summaries[1:])["person"].to_pylist() == ["ada", "b", "b", "d"]


def test_a_mean_over_methods_is_a_mean_of_their_figures():
    both = both_of(1.5, 1.0)
    labels = both.labels
    halves = [(labels == 0) | (np.arange(80) < 60), (labels == 0) | (np.arange(80) >= 60)]
    scope = Scope("mean", tuple((0.5, half) for half in halves))
    expected = np.mean([roc_auc_score(labels[h], both.scores[0][h]) for h in halves])
    assert paired_differences(both, scope, **ALL)["auc"].candidate == pytest.approx(expected)


def test_only_videos_that_both_scored_count():
    both = both_of(1.5, 1.0, unscored=5)
    assert len(both.labels) == 75
    assert both.videos.num_rows == len(both.scores[0]) == len(both.scores[1])


def test_models_scored_on_different_videos_are_refused():
    one = measured().scores
    with pytest.raises(EvaluationError, match=r"different videos: 1 are of one of them only, such"):
        pair_scores(one, one.slice(1), 0.5, 0.5)


def test_too_few_people_for_an_interval_are_an_error():
    """One method with the fakes of one person: most resamples have none of them."""
    one = measured(videos=40).scores
    both = pair_scores(one, one, 0.5, 0.5)
    rare = (both.labels == 0) | (np.arange(40) == 30)
    scope = Scope("rare", ((0.5, np.ones(40, bool)), (0.5, rare)))
    with pytest.raises(EvaluationError, match="resamples lack a class"):
        paired_differences(both, scope, **ALL)


def test_calibration_error():
    labels = np.array([0, 1, 1, 1])
    assert calibration_error(labels, np.array([0.75, 0.75, 0.75, 0.75])) == pytest.approx(0)
    assert calibration_error(labels, np.array([0.0, 1.0, 1.0, 1.0])) == pytest.approx(0)
    assert calibration_error(labels, 1.0 - labels) == pytest.approx(1)
    assert calibration_error(np.array([0, 1]), np.array([0.2, 0.6])) == pytest.approx(0.3)
