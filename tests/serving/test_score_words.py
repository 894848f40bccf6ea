"""Sentences state counts with their intervals, and say what is not known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dfray.evaluation.reference import BINS, Reference
from dfray.faces.properties import StreamProperties
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.score_words import doubts, meaning, verdict
from tests.helpers.examined import file_score

FACE = ScoredFace(0, 0, 0.0, 0, (0, 0, 120, 120), 640, 360, 0.9, 50, 100, 0.9)
SCORE = file_score("a.mp4", 0.9)
SEEN = Examination(SCORE, [FACE] * 3, outcomes=Counter(faces=3))


def counts(**at: int) -> list[int]:
    """Videos in BINS parts: p90=3 are three of 0.90 to 0.91."""
    return [at.get(f"p{number}", 0) for number in range(BINS)]


REFERENCE = Reference(
    rule={},
    real=counts(p10=47, p90=3),
    fake=counts(p90=27, p40=20),
    real_called_fake=3,
    fake_called_fake=27,
    ranges={
        "face_px": (50, 300),
        "sharpness": (20, 400),
        "brightness": (45, 200),
        "quality": (0.05, 2),
    },
)


def test_the_verdict_names_score_threshold_and_side() -> None:
    assert verdict(SEEN, 0.5) == "Called fake: the score 0.900 is at or above the threshold 0.5."
    real = replace(SEEN, score=file_score("a.mp4", 0.25))
    assert verdict(real, 0.5) == "Not called fake: the score 0.250 is below the threshold 0.5."
    gone = file_score("a.mp4", None, reason="no face in any frame")
    assert verdict(replace(SEEN, score=gone), 0.5) == "No verdict: no face in any frame."


def test_the_meaning_is_counted_on_validation_with_intervals() -> None:
    near, rates, prior = meaning(0.905, REFERENCE)
    assert near == (
        "Of 30 validation videos with a score of 0.90 to 0.91, 27 were fake "
        "(90 %; 95 % interval 73 to 98 %)."
    )
    assert rates.startswith(
        "False alarms at this threshold, among validation's real videos: "
        "3 of 50 (6 %; 95 % interval 1 to 17 %)."
    )
    assert "Fakes found: 27 of 47 (57 %;" in rates
    assert prior.startswith("48 % of the validation videos were fake. Where fakes are rarer")


def test_few_videos_none_and_a_model_without_them_are_told_as_such() -> None:
    of_one = {"real": counts(), "fake": counts(p90=1), "real_called_fake": 0, "fake_called_fake": 1}
    near, rates, _ = meaning(0.9, REFERENCE.model_copy(update=of_one))
    assert near.startswith("Of 1 validation video with")
    assert near.endswith("1 was fake (100 %; 95 % interval 3 to 100 %). These are few videos.")
    assert "real videos: not known, as it had none. Fakes found: 1 of 1 (" in rates
    assert "is not known" in meaning(0.6, REFERENCE)[0]
    assert "carries no scores of validation" in meaning(0.6, None)[0]
    assert meaning(None, REFERENCE) == []


def test_faces_like_those_of_validation_raise_no_doubt() -> None:
    assert doubts(SEEN, 224, REFERENCE) == []
    assert doubts(SEEN, 224, None) == [
        "Not known whether faces are unlike those of validation: the model carries no ranges."
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"box": (0, 0, 30, 40)}, "2 of 5 faces less than 112 px wide"),
        (
            {"box": (0, 0, 30, 40)},
            "2 of 5 faces smaller than 99 % of validation's faces (below 50 px).",
        ),
        (
            {"box": (0, 0, 310, 40)},
            "2 of 5 faces larger than 99 % of validation's faces (above 300 px).",
        ),
        (
            {"sharpness": 19.0},
            "2 of 5 faces more blurred than 99 % of validation's faces (below 20).",
        ),
        ({"brightness": 42.0}, "2 of 5 faces darker than 99 % of validation's faces (below 45)."),
        ({"brightness": 30.0}, "2 of 5 faces dark: mean luma below 40 of 255."),
    ],
)
def test_faces_out_of_range_are_counted_with_the_limit(
    change: dict[str, object], words: str
) -> None:
    odd = replace(FACE, **change)  # type: ignore[arg-type]
    told = doubts(replace(SEEN, faces=[*SEEN.faces, odd, odd]), 224, REFERENCE)
    assert any(sentence.startswith(words) for sentence in told), told


def test_frames_persons_and_compression_that_hinder_are_told() -> None:
    stranger = replace(FACE, person=1)
    seen = Examination(
        SCORE,
        [*SEEN.faces, stranger],
        outcomes=Counter(faces=4, no_face=2, decode_error=1),
        reasons=Counter({"damaged": 1}),
        n_doubtful=1,
        stream=StreamProperties(width=1000, height=1000, fps=10, bit_rate=100_000),
    )
    told = "\n".join(doubts(seen, 224, REFERENCE))
    for words in (
        "2 of 7 sampled frames without a face: not judged.",
        "1 of 7 sampled frames with a doubtful face",
        "1 of 7 sampled frames could not be decoded.",
        "1 frame: damaged.",
        "Fewer than 3 faces of person 2:",
        "more compressed than 99 % of validation's: 0.01 bits a pixel, below 0.05.",
    ):
        assert words in told
