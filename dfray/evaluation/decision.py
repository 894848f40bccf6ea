"""Threshold and temperature, fitted on validation; test data are refused.

A choice made on test data makes the figures on them too good, so every fit looks at the split of each row
it is given, whatever its caller meant to give.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dfray.errors import UserError
from dfray.evaluation.aggregate import check_scores, is_scored
from dfray.tables import FAKE, REAL, refuse_test

TEMPERATURES = (0.05, 20.0)
"""Where the temperature is looked for; a fit at either end means that scores do not order the classes."""

_EDGE = 1e-6  # float32 probabilities this near 0 or 1 no longer tell how sure the network was


def fit_temperature(scores: pa.Table) -> float:
    """The temperature T that makes the faces' probabilities most likely, each video counting the same.

    The minimum over T of the negative log-likelihood of sigmoid(log-odds / T) (arXiv 1706.04599
    section 4.2).

    Args:
        scores: SCORES of validation faces, given by a model at temperature 1.

    Raises:
        UserError: a row is of the test split, or a class is missing.
        EvaluationError: a probability is none.
    """
    from scipy.optimize import minimize_scalar

    refuse_test(scores, "A temperature")
    scores = check_scores(scores)
    _require_both(scores["label"].to_numpy(), "A temperature", "face")
    clipped = np.clip(scores["fake_probability"].to_numpy().astype(np.float64), _EDGE, 1 - _EDGE)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    sign = np.where(scores["label"].to_numpy() == FAKE, 1.0, -1.0)
    _, video, counts = np.unique(
        np.asarray(scores["video_id"].to_pylist()), return_inverse=True, return_counts=True
    )
    weights = 1 / counts[video]

    def loss(log_temperature: float) -> float:
        return float(
            np.average(np.logaddexp(0, -sign * log_odds / np.exp(log_temperature)), weights=weights)
        )

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def most_accurate_threshold(videos: pa.Table) -> float:
    """The threshold of the highest balanced accuracy (Youden's index, Cancer 3, 1950, 32-35).

    It lies half-way between two scores. Of thresholds that are equally good it is the one in the widest gap
    between scores, so that the fewest new videos lie beside it.

    Args:
        videos: VIDEO_SCORES of validation, by the scores that the threshold will be used on.

    Raises:
        UserError: a row is of the test split, or a class is missing.
    """
    refuse_test(videos, "A threshold")
    scored = videos.filter(is_scored(videos))
    scores, labels = scored["fake_probability"].to_numpy(), scored["label"].to_numpy()
    _require_both(labels, "A threshold", "video")
    edges = np.unique([0.0, *np.clip(scores, 0, 1), 1.0])
    gaps, middles = np.diff(edges), (edges[:-1] + edges[1:]) / 2
    real, fake = (np.sort(scores[labels == label]) for label in (REAL, FAKE))
    specificity = np.searchsorted(real, middles) / len(real)
    sensitivity = 1 - np.searchsorted(fake, middles) / len(fake)
    accuracy = np.round(specificity + sensitivity, 9)  # equal rates differ in their last bits
    best = accuracy == accuracy.max()
    return float(middles[best][np.argmax(gaps[best])])


def fit_threshold(videos: pa.Table, fpr: float) -> float:
    """The lowest threshold at which at most a share `fpr` of the real videos is called fake.

    It lies half-way between two scores where it can, so that rounding on another machine moves no video.

    Args:
        videos: VIDEO_SCORES of validation, by the scores that the threshold will be used on.

    Raises:
        UserError: a row is of the test split, or there are too few real videos for the rate to mean
            anything: 1 / fpr are needed.
    """
    refuse_test(videos, "A threshold")
    scored = videos.filter(is_scored(videos))
    scores = scored["fake_probability"].to_numpy()
    real = np.sort(scores[scored["label"].to_numpy() == REAL])[::-1]
    allowed = int(np.floor(fpr * len(real) + 1e-9))
    if allowed < 1:
        raise UserError(
            f"Validation has {len(real)} scored real video(s), too few to fit a threshold at a false "
            f"positive rate of {fpr:g}.",
            f"It takes at least {int(np.ceil(1 / fpr))}; raise evaluation.threshold.fpr, or fix it.",
        )
    beyond = real[allowed] if allowed < len(real) else 0.0  # the first real video to stay below
    above = scores[scores > beyond]
    return float((beyond + above.min()) / 2) if len(above) else float(np.nextafter(beyond, 2))


def _require_both(labels: np.ndarray, quantity: str, item: str) -> None:
    missing = [
        name for name, label in (("real", REAL), ("fake", FAKE)) if not (labels == label).any()
    ]
    if missing:
        raise UserError(
            f"{quantity} cannot be fitted: validation has no scored {' and no scored '.join(missing)} "
            f"{item}.",
            "Look at the extraction's counts of the val split.",
        )
