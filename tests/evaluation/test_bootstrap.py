import numpy as np
import pytest

from dfray.evaluation import bootstrap
from dfray.evaluation.bootstrap import percentile_interval
from dfray.evaluation.metrics import Level, point_metrics
from dfray.evaluation.ranking_metrics import METRICS, equal_error_rate
from tests.helpers.resampling import resample_metrics


def drawn(n_videos, seed, items_per_video=1, ties=False):
    """scores (M,), video_of (M,), labels (V,), with both classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_videos) % 3 > 0).astype(int)
    video_of = rng.permutation(np.repeat(np.arange(n_videos), items_per_video))
    scores = rng.normal(size=len(video_of)) + labels[video_of]
    scores = 1 / (1 + np.exp(-scores))
    return (np.round(scores, 1) if ties else scores), video_of, labels


def resample(data, resamples=30, seed=0, threshold=0.5):
    rng = np.random.default_rng(seed)
    return resample_metrics(*data, threshold=threshold, resamples=resamples, rng=rng)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("items_per_video", [1, 4])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_each_resample_equals_scikit_learn_on_the_repeated_items(ties, items_per_video, threshold):
    scores, video_of, labels = data = drawn(40, seed=3, items_per_video=items_per_video, ties=ties)
    found = resample(data, threshold=threshold)
    (counts,) = bootstrap.draw(labels, 30, 30, np.random.default_rng(0))
    for row, count in enumerate(counts):
        items = np.repeat(np.arange(len(scores)), count[video_of])
        expected = point_metrics(labels[video_of[items]], scores[items], threshold)
        assert {name: found[name][row] for name in METRICS} == pytest.approx(expected, abs=1e-12)


def test_classes_are_drawn_apart_and_keep_their_size():
    labels = np.array([0, 1, 1, 0, 1, 1, 1])
    for counts in bootstrap.draw(labels, 50, 20, np.random.default_rng(0)):
        assert (counts[:, labels == 0].sum(axis=1) == 2).all()
        assert (counts[:, labels == 1].sum(axis=1) == 5).all()


def test_every_video_is_drawn_once_on_average():
    labels = np.arange(10) % 2
    (counts,) = bootstrap.draw(labels, 20_000, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(counts.var(axis=0), 1 - 1 / 5, atol=0.05)


def test_chunks_change_the_draw_but_not_the_number_of_resamples(monkeypatch):
    data = drawn(50, seed=1)
    monkeypatch.setattr(bootstrap, "CHUNK", 50 * 7)
    assert {name: values.shape for name, values in resample(data, 30).items()} == dict.fromkeys(
        METRICS, (30,)
    )


def test_the_same_seed_gives_the_same_resamples():
    data = drawn(50, seed=1)
    for name, values in resample(data, seed=5).items():
        np.testing.assert_array_equal(values, resample(data, seed=5)[name])


def test_the_interval_covers_the_true_auc_about_as_often_as_it_says():
    """Two normals one apart have an AUC of Phi(1 / sqrt 2) = 0.7602; 90 % intervals."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    hits = 0
    for _ in range(200):
        scores = rng.normal(size=120) + labels
        aucs = resample_metrics(
            scores, np.arange(120), labels, threshold=0.5, resamples=200, rng=rng
        )["auc"]
        low, high = np.quantile(aucs, [0.05, 0.95])
        hits += low <= 0.7602 <= high
    assert 0.83 <= hits / 200 <= 0.96


def test_frames_alike_within_a_video_do_not_narrow_the_interval():
    scores, video_of, labels = drawn(60, seed=2)
    single = resample((scores, video_of, labels), 2000)["auc"]
    copied = resample((np.repeat(scores, 9), np.repeat(video_of, 9), labels), 2000)["auc"]
    assert copied.std() == pytest.approx(single.std(), rel=0.05)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 0.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 1.0),
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5),
        ([0, 0, 1, 1], [0.1, 0.8, 0.7, 0.9], 0.5),
        ([0] * 10 + [1] * 10, [*range(9), 14.5, *range(10, 20)], 0.1),
        # Between the points (0, 2/3) and (1/2, 1) the miss rate meets the alarm rate at 1/5.
        ([0, 0, 1, 1, 1], [0.1, 0.5, 0.5, 0.8, 0.9], 0.2),
    ],
)
def test_equal_error_rate_on_known_cases(labels, scores, expected):
    found = point_metrics(np.array(labels), np.array(scores), 0.5)["eer"]
    assert found == pytest.approx(expected)


def test_equal_error_rate_lies_where_both_errors_are_equal():
    scores, _, labels = drawn(2001, seed=4)
    eer = point_metrics(labels, scores, 0.5)["eer"]
    threshold = np.quantile(scores[labels == 0], 1 - eer)
    assert np.mean(scores[labels == 1] < threshold) == pytest.approx(eer, abs=2 / 667)


def test_equal_error_rate_takes_many_curves_at_once():
    fpr = np.array([[0, 0.2, 1], [0, 0.5, 1]])
    tpr = np.array([[0, 0.8, 1], [0, 0.5, 1]])
    np.testing.assert_allclose(equal_error_rate(fpr, tpr), [0.2, 0.5])


def test_every_metric_has_its_field_in_the_stored_level_and_every_field_its_metric():
    assert METRICS.keys() == Level.model_fields.keys() - {"n_real", "n_fake", "reason"}


def test_the_percentile_interval_leaves_half_of_the_rest_on_either_side():
    assert percentile_interval(np.arange(101), 0.9) == pytest.approx((5, 95))
