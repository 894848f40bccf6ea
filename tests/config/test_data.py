"""Sampling and crops of faces: what a recipe may say together, and what stores and models keep."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dfray.config import FacesSection

CLIP = {"frames": 32, "keep": "largest", "align": "five_points"}


def test_a_number_of_frames_stands_in_place_of_a_rate() -> None:
    assert FacesSection(frames=32).rate_fps is None
    assert FacesSection().rate_fps == 1.0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"frames": 32, "rate_fps": 1.0}, "rate_fps 1 and frames 32 are two ways to sample"),
        ({"rate_fps": None}, "both are null"),
        ({"frames": 0}, "greater than or equal to 1"),
    ],
)
def test_one_of_both_samples(values: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FacesSection.model_validate(values)


def test_what_a_model_was_trained_with_is_what_it_scores_with() -> None:
    settings = FacesSection(**CLIP)
    assert FacesSection.from_stored(settings.model_dump(mode="json")) == settings


def test_stores_and_models_from_before_these_keys_had_every_face_upright_at_a_rate() -> None:
    before = FacesSection().model_dump(mode="json", exclude=set(CLIP))
    assert FacesSection.from_stored(before) == FacesSection()
    assert FacesSection().shaping().keys().isdisjoint(CLIP)
    assert FacesSection(**CLIP).shaping().keys() >= CLIP.keys()
