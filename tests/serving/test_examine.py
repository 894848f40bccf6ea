"""An examination has the score that the model gives, and the faces that it follows from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    detector_model_path,
    landmark_model_path,
)
from dfray.faces.quality import brightness
from dfray.models.bundle_description import DecisionRule, write_decision_rule
from dfray.serving.admission import Admission
from dfray.serving.examination import Examination
from dfray.serving.examine import THUMBNAIL_PX, examine
from dfray.serving.inputs import MediaInput
from dfray.serving.scorer import MediaScorer
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.tiny import png, save_bundle, write_clip

COLUMNS = {name: name for name in ("outcome", "reason", "n_frames", "n_faces")} | {
    "input": "input",
    "verdict": "label",
    "duration_s": "video_s",
}
"""Field of a FileScore -> column of the served model's answer."""


def two_people() -> np.ndarray:
    """A large head at the left, a small one at the right: uint8 (360, 640, 3)."""
    picture = background(640, 360)
    paste(picture, draw_head(1, 220), 60, 80)
    paste(picture, draw_head(2, 130), 430, 120)
    return picture


@pytest.fixture(scope="module", params=["mean", "max_of_persons"])
def scorer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MediaScorer]:
    bundle, detector = save_bundle(tmp_path_factory.mktemp("b")), tmp_path_factory.mktemp("d")
    criteria = DecisionRule().decision_criteria | {"video_rule": request.param}
    write_decision_rule(bundle, DecisionRule(decision_criteria=criteria))
    shutil.copyfile(detector_model_path("full"), detector / FILE_NAMES["full"])
    shutil.copyfile(landmark_model_path(None), detector / LANDMARKS_FILE)
    scorer = MediaScorer(str(bundle), str(detector), Admission())
    yield scorer
    scorer.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("inputs")
    write_clip(folder / "two.mp4", two_people(), seconds=3)
    (folder / "one.png").write_bytes(png(two_people()[:, :320]))
    (folder / "none.png").write_bytes(png(background(320, 240)))
    (folder / "text.mp4").write_text("no video")
    return [
        str(folder / name) for name in ("two.mp4", "one.png", "none.png", "text.mp4", "gone.mp4")
    ]


@pytest.fixture(scope="module")
def examined(scorer: MediaScorer, files: list[str]) -> list[Examination]:
    return [examine(MediaInput(file), scorer, scorer.model, "pictures") for file in files]


def test_scores_are_those_of_the_model(
    scorer: MediaScorer, files: list[str], examined: list[Examination]
) -> None:
    rows = scorer.predict(files).to_dict("records")
    for row, examination in zip(rows, examined, strict=True):
        expected = {name: None if value != value else value for name, value in row.items()}  # NaN
        score = examination.score
        assert score.fake_probability == expected["fake_probability"]
        for name, column in COLUMNS.items():
            assert getattr(score, name) == expected[column], name
        assert score.checksum == scorer.model.checksum


def test_a_face_has_its_time_its_person_and_its_box(examined: list[Examination]) -> None:
    video = examined[0]
    assert video.outcomes == {"faces": 6}
    assert [face.person for face in video.faces] == [0, 1] * 6
    assert [face.time_s for face in video.faces[::2]] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    large, small = video.faces[:2]
    for face, left, side in ((large, 60, 220), (small, 430, 130)):
        x, _, w, h = face.box
        assert left < x + w / 2 < left + side
        assert face.face_px == max(w, h) < side
        assert (face.frame_width, face.frame_height) == (640, 360)
    assert video.stream.codec == "h264"


def test_pictures_of_a_face_are_those_that_were_scored(
    scorer: MediaScorer, examined: list[Examination]
) -> None:
    video = examined[0]
    assert sorted(video.kept) == list(range(12))
    crops = np.stack([face.crop for face in video.kept.values()])
    again, _ = scorer.bundle.predict(crops)
    np.testing.assert_allclose(again, [f.fake_probability for f in video.faces], atol=1e-5)
    assert video.faces[0].brightness == brightness(crops[0])
    x, y, side = video.kept[1].square
    thumbnail = video.kept[1].thumbnail
    assert thumbnail is not None
    assert max(thumbnail.shape) == THUMBNAIL_PX
    cut = thumbnail[y : y + side, x : x + side]
    assert abs(cut.mean() - crops[1].mean()) < 4


def test_no_picture_is_kept_unless_it_is_wanted(scorer: MediaScorer, files: list[str]) -> None:
    examination = examine(MediaInput(files[0]), scorer, scorer.model)
    assert examination.kept == {}
    assert len(examination.faces) == 12
    alone = examine(MediaInput(files[0]), scorer, scorer.model, "score")
    assert alone.faces == []
    assert alone.score.fake_probability == examination.score.fake_probability


def test_inputs_without_a_face_have_none_and_say_why(examined: list[Examination]) -> None:
    assert [len(examination.faces) for examination in examined[1:]] == [1, 0, 0, 0]
    assert [e.score.outcome for e in examined[2:]] == ["no_face", "unreadable", "unreadable"]
    assert all(examination.score.reason for examination in examined[2:])
