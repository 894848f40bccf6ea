"""Key moments: the most and the least suspicious faces, with what the model saw and what moved its score."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dfray.models.bundle import Bundle
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.kept_faces import KeptFace
from dfray.serving.score_pictures import (
    ALONE,
    AMONG_FEW,
    AMONG_MANY,
    Wanted,
    key_moments,
    wanted_of,
)
from tests.helpers.examined import file_score
from tests.helpers.tiny import save_bundle

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(save_bundle(tmp_path_factory.mktemp("bundle")))


def examination(faces: list[tuple[int, int, float]]) -> Examination:
    """One with a face for each (frame, person, probability)."""
    scored = [
        ScoredFace(frame, person, float(frame), person, (8, 8, 40, 40), 96, 64, value, 50, 100, 0.9)
        for frame, person, value in faces
    ]
    kept = {
        number: KeptFace(
            RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8),
            (2, 2, 52),
            np.full((64, 96, 3), number, np.uint8),
        )
        for number in range(len(faces))
    }
    return Examination(file_score("a.mp4", 0.5), scored, kept)


def moments_of(seen: Examination, bundle: Bundle, wanted: Wanted) -> list[tuple[str, int, int]]:
    moments, _ = key_moments(seen, bundle, wanted)
    return [(m.kind, m.face.frame_index, m.face.person) for m in moments]


def test_moments_are_of_both_ends_and_apart_in_time(bundle: Bundle) -> None:
    rising = [(frame, 0, frame / 100) for frame in range(100)]
    moments = moments_of(examination(rising), bundle, Wanted(most=3, least=2, persons=0))
    most = [frame for kind, frame, _ in moments if kind == "most"]
    least = [frame for kind, frame, _ in moments if kind == "least"]
    assert (most[0], least[0]) == (99, 0)
    assert min(abs(np.diff(most))) >= 8
    assert min(abs(np.diff(least))) >= 12


def test_a_person_whom_neither_end_shows_has_a_moment_of_its_own(bundle: Bundle) -> None:
    faces = [(frame, 0, 0.9 if frame < 5 else 0.1) for frame in range(10)] + [(9, 1, 0.5)]
    moments = moments_of(examination(faces), bundle, Wanted(2, 2, 1))
    assert moments[-1] == ("person", 9, 1)
    assert len(moments) == 5


def test_a_single_face_is_one_moment(bundle: Bundle) -> None:
    assert moments_of(examination([(0, 0, 0.7)]), bundle, ALONE) == [("most", 0, 0)]
    assert key_moments(examination([]), bundle, ALONE) == ([], None)


def test_a_moment_has_its_frame_its_face_and_a_map_for_its_own_call(bundle: Bundle) -> None:
    moments, unexplained = key_moments(
        examination([(0, 0, 0.9), (0, 1, 0.8), (3, 0, 0.1)]), bundle, ALONE
    )
    assert unexplained is None
    by_probability = {moment.face.fake_probability: moment for moment in moments}
    assert by_probability[0.9].toward_fake
    assert not by_probability[0.1].toward_fake
    assert [other.person for other in by_probability[0.9].others] == [1]
    for moment in moments:
        assert Image.open(io.BytesIO(moment.frame)).size == (96, 64)
        assert moment.evidence is not None
        assert (
            Image.open(io.BytesIO(moment.crop)).size == Image.open(io.BytesIO(moment.evidence)).size
        )


def test_a_model_that_gives_no_maps_says_why_and_shows_the_faces(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle.detector.backbone, "feature_info", [])
    moments, unexplained = key_moments(examination([(0, 0, 0.9)]), bundle, ALONE)
    assert unexplained is not None
    assert "does not tell its feature maps" in unexplained
    assert [moment.evidence for moment in moments] == [None]


def test_the_more_inputs_a_page_has_the_fewer_moments_has_each() -> None:
    assert [wanted_of(n) for n in (1, 2, 8, 9, 1000)] == [
        ALONE, AMONG_FEW, AMONG_FEW, AMONG_MANY, AMONG_MANY,
    ]  # fmt: skip
