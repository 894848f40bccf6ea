"""Scores of files that are made, not measured, for tests of what is shown of them."""

from __future__ import annotations

from dfray.faces.properties import StreamProperties
from dfray.serving.media_score import Findings, MediaScore
from dfray.serving.score_table import FileScore, ScoringModel

MODEL = ScoringModel("examined", "1", "0" * 64, 0.5, "set by the recipe")


def file_score(
    file: str, probability: float | None, n_faces: int = 3, reason: str | None = None
) -> FileScore:
    """Return a score at the threshold 0.5; without a probability that of an input without a face."""
    outcome = "no_face" if probability is None else "ok"
    findings = Findings(outcome, reason, 4, [], StreamProperties(duration_s=2.0))
    if probability is None:
        return FileScore.of(file, MediaScore(findings), MODEL)
    verdict = "fake" if probability >= MODEL.threshold else "real"
    return FileScore.of(file, MediaScore(findings, probability, verdict, n_faces), MODEL)
