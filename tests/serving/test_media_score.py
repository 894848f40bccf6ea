"""The score of one input from its faces: the rule that the threshold was chosen under, and who is in it."""

from __future__ import annotations

import numpy as np
import pytest

from dfray.config import EvaluationSection
from dfray.faces.video import Face, Frame, VideoEnd
from dfray.models.bundle_description import DecisionRule
from dfray.serving.media_score import FacePosition, Findings, judged, persons_in


def rule_of(name: str) -> DecisionRule:
    criteria = EvaluationSection(video_rule=name).decision_criteria
    return DecisionRule(threshold=0.7, decision_criteria=criteria)


@pytest.mark.parametrize(
    ("rule", "score", "verdict"), [("mean", 0.5, "real"), ("max_of_persons", 0.9, "fake")]
)
def test_a_video_is_scored_by_the_rule_its_threshold_was_chosen_under(
    rule: str, score: float, verdict: str
) -> None:
    """Two people, of whom the second is called fake: the mean hides it, the highest person does not."""
    positions = [
        FacePosition(k, float(k), (300.0 * who, 0.0, 80.0, 80.0))
        for k in range(4)
        for who in (0, 1)
    ]
    probabilities = np.array([0.1, 0.9] * 4, np.float32)
    embeddings = np.tile(np.eye(2, dtype=np.float32), (4, 1))
    persons = persons_in(positions, embeddings, 1.0)
    assert persons.tolist() == [0, 1] * 4
    findings = Findings("ok", None, 4, positions)
    found = judged(findings, probabilities, persons, rule_of(rule), 0.1)
    assert found.fake_probability == pytest.approx(score)
    assert found.verdict == verdict
    assert (found.n_faces, found.n_persons) == (8, 2)


def test_without_a_face_there_is_no_score_and_no_verdict() -> None:
    findings = Findings("no_face", "no face", 3)
    found = judged(findings, np.zeros(0), np.zeros(0, int), rule_of("mean"), 0.1)
    assert (found.fake_probability, found.verdict, found.n_persons) == (None, None, 0)


def test_findings_count_frames_and_keep_the_place_of_each_crop() -> None:
    crop = np.zeros((8, 8, 3), np.uint8)
    face = Face(0, 0.9, (1.0, 2.0, 3.0, 4.0), (0.0,) * 12, (0, 0, 8), crop)
    findings = Findings()
    assert findings.take(Frame(0, 0.0, "no_face")) == []
    (taken,) = findings.take(Frame(1, 0.5, "faces", faces=[face]))
    assert taken is crop
    assert findings.take(VideoEnd("ok", None, 1, 0.2)) == []
    assert (findings.outcome, findings.n_frames) == ("ok", 2)
    assert findings.positions == [FacePosition(1, 0.5, (1.0, 2.0, 3.0, 4.0))]
