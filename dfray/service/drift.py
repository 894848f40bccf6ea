"""Drift: how far what is sent lies from validation, as population stability indices.

PSI = sum over bins of (p - q) ln(p / q), p the share of recent requests and q validation's (Siddiqi 2006,
"Credit Risk Scorecards"; the symmetric Kullback-Leibler divergence of Jeffreys). Under 0.1 is called stable
there, over 0.25 a shift. A bin counts half an observation more than it has (Jeffreys's prior), as a share of
0 has no logarithm; with n recent observations in B bins the PSI of no drift is about (B - 1) / n.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfray.evaluation.reference import BINS, FACE_PX, Reference
from dfray.service.task import Scored

RECENT = 1000
"""Files that count as recent."""
SCORE_BINS = 10
FEWEST = 50
"""Recent files or faces below which an index would be noise; there is none then."""


@dataclass(frozen=True)
class _Seen:
    """One file: its score, 0..1, None without a face; and its faces by size, as of `count_face_px`."""

    probability: float | None
    face_px: tuple[int, ...]
    is_no_face: bool


class Drift:
    """Recent files against validation's, of one model.

    Args:
        reference: validation in numbers; None: the model has none, and so no index.
    """

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._recent = deque[_Seen](maxlen=RECENT)

    def add(self, scored: Scored) -> None:
        """Take a file that could be read."""
        score = scored.score
        if score.outcome in ("ok", "no_face"):
            is_no_face = score.outcome == "no_face"
            self._recent.append(_Seen(score.fake_probability, scored.face_px, is_no_face))

    def indices(self) -> dict[str, float]:
        """Return what of `scores`, `face_sizes` and `no_face` can be compared -> its index."""
        if self._reference is None:
            return {}
        found = {
            "scores": self._scores(self._reference),
            "face_sizes": self._face_sizes(self._reference),
            "no_face": self._no_face(self._reference),
        }
        return {name: value for name, value in found.items() if value is not None}

    def no_face_rate(self) -> float | None:
        """Return the share of recent files without a face; None: there is no recent file."""
        return self._count_no_face() / len(self._recent) if self._recent else None

    def _count_no_face(self) -> int:
        return sum(seen.is_no_face for seen in self._recent)

    def _scores(self, reference: Reference) -> float | None:
        values = [seen.probability for seen in self._recent if seen.probability is not None]
        recent = np.histogram(values, SCORE_BINS, (0, 1))[0]
        all_videos = np.add(reference.real, reference.fake)
        return _index(recent, all_videos.reshape(SCORE_BINS, BINS // SCORE_BINS).sum(axis=1))

    def _face_sizes(self, reference: Reference) -> float | None:
        if reference.face_px is None:
            return None
        counts = [seen.face_px for seen in self._recent]
        recent = np.sum(counts, axis=0) if counts else np.zeros(len(FACE_PX) + 1)
        return _index(recent, np.array(reference.face_px))

    def _no_face(self, reference: Reference) -> float | None:
        if reference.no_face is None:
            return None
        n_scored = sum(reference.real) + sum(reference.fake)
        n_no_face = self._count_no_face()
        return _index([n_no_face, len(self._recent) - n_no_face], [reference.no_face, n_scored])


def _index(
    recent: Sequence[int] | np.ndarray, expected: Sequence[int] | np.ndarray
) -> float | None:
    """Return the index of counts in the same bins; None: too few of either."""
    if min(np.sum(recent), np.sum(expected)) < FEWEST:
        return None
    return psi(np.asarray(recent), np.asarray(expected))


def psi(recent: np.ndarray, expected: np.ndarray) -> float:
    """Return the population stability index of two counts (B,) in the same bins, 0 or more."""
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (recent, expected))
    return float(np.sum((p - q) * np.log(p / q)))
