"""Threshold and temperature come from validation, do what they promise, and never see test data."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from dfray.config import EvaluationSection, WantedRate
from dfray.errors import UserError
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.decision import fit_temperature, fit_threshold, most_accurate_threshold
from dfray.tables import SCORES, refuse_test
from tests.helpers.rows import fake_row, video_row


def videos(real: list[float | None], fake: list[float], split: str = "val") -> pa.Table:
    rows = []
    for make, scores in ((video_row, real), (fake_row, fake)):
        for number, score in enumerate(scores):
            found = {"status": "ok", "n_faces": 1, "fake_probability": score}
            rows.append(make(f"{number:04d}", split=split) | found)
    return VIDEO_SCORES.from_rows(rows)


def faces(log_odds: np.ndarray, labels: np.ndarray, per_video: int = 1, split: str = "val"):
    rows = []
    for number, (odds, label) in enumerate(zip(log_odds, labels, strict=True)):
        make = fake_row if label else video_row
        probability = 1 / (1 + np.exp(-odds))
        for frame in range(per_video):
            where = {"frame_index": frame, "face_index": 0, "time_s": float(frame)}
            score = {"fake_probability": probability, "embedding": [0.0]}
            rows.append(make(f"{number:05d}", split=split) | where | score)
    return SCORES.from_rows(rows)


def overconfident(n: int, factor: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds that are `factor` times as sure as their labels bear out."""
    true = rng.normal(0, 2, n)
    labels = rng.random(n) < 1 / (1 + np.exp(-true))
    return factor * true, labels


@pytest.mark.parametrize("fpr", [0.05, 0.1, 0.37])
def test_the_threshold_holds_the_rate_and_a_lower_one_would_not(fpr):
    rng = np.random.default_rng(0)
    real, fake = rng.beta(2, 5, 90), rng.beta(5, 2, 70)
    threshold = fit_threshold(videos(real.tolist(), fake.tolist()), fpr)
    assert np.mean(real >= threshold) <= fpr
    below = np.sort(real[real < threshold])[-1]
    assert np.mean(real >= below) > fpr


def test_the_threshold_lies_between_two_videos():
    threshold = fit_threshold(videos([0.1, 0.2, 0.3, 0.6], [0.4, 0.9]), 0.25)
    assert threshold == pytest.approx(0.35)


def test_tied_real_scores_stay_below_together():
    real = [0.1, 0.5, 0.5, 0.5]
    threshold = fit_threshold(videos(real, [0.9]), 0.5)
    assert np.mean(np.array(real) >= threshold) <= 0.5


def test_a_model_that_calls_every_real_video_surely_fake_calls_none_fake():
    threshold = fit_threshold(videos([1.0, 1.0], [1.0]), 0.5)
    assert threshold > 1


def test_a_rate_that_so_few_real_videos_cannot_show_is_refused():
    with pytest.raises(UserError, match=r"19 scored real.*at least 20"):
        fit_threshold(videos([0.1] * 19 + [None], [0.9]), 0.05)
    fit_threshold(videos([0.1] * 20, [0.9]), 0.05)


def test_no_threshold_is_more_accurate_than_the_most_accurate_one():
    rng = np.random.default_rng(4)
    real, fake = rng.beta(2, 5, 90), rng.beta(3, 2, 70)

    def accuracy(threshold: float) -> float:
        return np.mean(real < threshold) + np.mean(fake >= threshold)

    threshold = most_accurate_threshold(videos(real.tolist(), fake.tolist()))
    every = np.linspace(0, 1, 2001)
    assert accuracy(threshold) >= max(map(accuracy, every)) - 1e-9


def test_the_most_accurate_threshold_of_classes_apart_is_half_way_between_them():
    assert most_accurate_threshold(videos([0.0, 0.02, 0.1], [0.3, 0.9, 1.0])) == 0.2
    assert most_accurate_threshold(videos([0.0] * 3, [1.0] * 3)) == 0.5


def test_of_thresholds_that_are_equally_good_the_one_in_the_widest_gap_is_taken():
    """Both 0.15 and 0.65 call one video wrong."""
    assert most_accurate_threshold(videos([0.1, 0.2, 0.4], [0.19, 0.9, 0.95])) == pytest.approx(
        0.65
    )


def test_scores_that_all_lie_above_a_half_still_have_a_threshold():
    """As of a small network copied to other footage, which a fixed 0.5 would call fake throughout."""
    assert 0.7 < most_accurate_threshold(videos([0.6, 0.65, 0.7], [0.8, 0.9, 0.85])) < 0.8


def test_the_most_accurate_threshold_of_one_class_is_refused():
    with pytest.raises(UserError, match="no scored fake video"):
        most_accurate_threshold(videos([0.1, 0.2], []))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_false_confidence(factor):
    log_odds, labels = overconfident(4000, factor, np.random.default_rng(1))
    assert fit_temperature(faces(log_odds, labels)) == pytest.approx(factor, rel=0.12)


def test_the_temperature_is_where_the_likelihood_is_highest():
    log_odds, labels = overconfident(300, 2.0, np.random.default_rng(2))
    fitted = fit_temperature(faces(log_odds, labels))

    def loss(temperature: float) -> float:
        signed = np.where(labels, 1, -1) * log_odds / temperature
        return float(np.mean(np.log1p(np.exp(-signed))))

    assert loss(fitted) < min(loss(0.97 * fitted), loss(1.03 * fitted))


def test_a_long_video_weighs_as_much_as_a_short_one():
    log_odds, labels = overconfident(200, 2.0, np.random.default_rng(3))
    short = faces(log_odds, labels)
    n_long = 50
    long = pa.concat_tables([faces(log_odds[:n_long], labels[:n_long], per_video=9)])
    rest = short.filter(pa.array([int(v[-5:]) >= n_long for v in short["video_id"].to_pylist()]))
    mixed = pa.concat_tables([long, rest])
    assert fit_temperature(mixed) == pytest.approx(fit_temperature(short), rel=1e-4)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: fit_threshold(videos([0.1] * 30, [0.9] * 30, split="test"), 0.1),
        lambda: most_accurate_threshold(videos([0.1] * 30, [0.9] * 30, split="test")),
        lambda: fit_temperature(faces(np.array([1.0, -1.0]), np.array([1, 0]), split="test")),
    ],
    ids=["rate", "accuracy", "temperature"],
)
def test_test_data_are_refused_whoever_gives_them(fit):
    with pytest.raises(UserError, match=r"on test data .* better than the detector is"):
        fit()


def test_one_test_row_among_many_is_refused():
    mixed = pa.concat_tables([videos([0.1] * 50, [0.9] * 50), videos([0.1], [], split="test")])
    with pytest.raises(UserError, match="1 of 101 rows"):
        refuse_test(mixed, "A checkpoint")


def test_a_temperature_of_one_class_is_refused():
    with pytest.raises(UserError, match="no scored fake face"):
        fit_temperature(faces(np.array([1.0, -1.0]), np.array([0, 0])))


def test_a_recipe_cannot_name_test_for_a_choice_and_is_told_why():
    with pytest.raises(ValidationError, match="chooses no checkpoint, threshold or parameter"):
        EvaluationSection(fit_split="test")


@pytest.mark.parametrize(
    "fitting",
    [
        {"calibrate": True},
        {"threshold": {"fpr": 0.1}},
    ],
)
def test_the_split_a_choice_was_fitted_on_is_not_measured(fitting):
    with pytest.raises(ValidationError, match="fitted on it"):
        EvaluationSection(split="val", **fitting)
    assert EvaluationSection(**fitting).is_fitted


def test_a_threshold_that_is_left_open_is_fitted_unless_its_split_is_measured():
    assert EvaluationSection().is_fitted
    assert EvaluationSection().threshold == "balanced_accuracy"
    on_validation = EvaluationSection(split="val")
    assert (on_validation.threshold, on_validation.is_fitted) == (0.5, False)
    again = EvaluationSection.model_validate(on_validation.model_dump(mode="json"))
    assert again == on_validation
    resolved = EvaluationSection().model_dump(mode="json")
    assert EvaluationSection.model_validate(resolved | {"split": "val"}) == on_validation


def test_a_threshold_is_a_number_or_a_wanted_rate():
    assert EvaluationSection().fixed_threshold == 0.5
    assert EvaluationSection(threshold=0.7).fixed_threshold == 0.7
    fitted = EvaluationSection(threshold={"fpr": 0.05})
    assert fitted.threshold == WantedRate(fpr=0.05)
    for wrong in ({"fpr": 0}, {"fpr": 1}, {"tpr": 0.5}, 1.5, "auc"):
        with pytest.raises(ValidationError):
            EvaluationSection(threshold=wrong)
