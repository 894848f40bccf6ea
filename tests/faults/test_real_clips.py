"""Real clips, where there are any: a folder with INDEX.csv, named by DFRAY_CORPUS.

Without it, `../shared/corpus` beside the checkout is taken if it exists; else these tests are skipped.
The project's other tests need only what they make.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd
from tests.helpers.mesh_points import CHIN, TOP, eyes

BESIDE = Path(__file__).parents[3] / "shared" / "corpus"
CORPUS = Path(os.environ.get("DFRAY_CORPUS", BESIDE))
pytestmark = pytest.mark.skipif(
    not (CORPUS / "INDEX.csv").exists(), reason="no real clips: set DFRAY_CORPUS to their folder"
)

Result = tuple[list[Frame], VideoEnd]
MINIMUM_FRAMES = {"every fourth": 50, "every one": 200}


@pytest.fixture(
    scope="module", params=["every fourth", pytest.param("every one", marks=pytest.mark.slow)]
)
def share(request: pytest.FixtureRequest) -> str:
    """Of the clips of people, as all of them take half a minute."""
    return request.param


@pytest.fixture(scope="module")
def index(share: str) -> dict[str, dict[str, str]]:
    with open(CORPUS / "INDEX.csv", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    people = [name for name in rows if name.startswith(("real_video/", "fake_video/"))]
    taken = people[2::4] if share == "every fourth" else people
    return {name: row for name, row in rows.items() if name in taken or name not in people}


@pytest.fixture(scope="module")
def results(index: dict[str, dict[str, str]]) -> dict[str, Result]:
    """What one extractor makes of the clips."""
    extractor = SupervisedExtractor(FacesSection(landmarks=True))
    found: dict[str, Result] = {}
    for name in index:
        *frames, end = extractor.extract(str(CORPUS / name))
        assert isinstance(end, VideoEnd)
        found[name] = ([frame for frame in frames if isinstance(frame, Frame)], end)
    extractor.close()
    return found


def with_face(frames: list[Frame]) -> int:
    return sum(frame.outcome == "faces" for frame in frames)


def test_every_clip_has_an_outcome_at_the_first_attempt(results: dict[str, Result]) -> None:
    for name, (frames, end) in results.items():
        assert end.attempts == 1, name
        assert end.status in ("ok", "no_face", "unreadable"), name
        assert (end.status == "unreadable") == (not frames), name
    unreadable = [name for name, (_, end) in results.items() if end.status == "unreadable"]
    assert unreadable == ["awkward/audio_only.mp4"]


def test_faces_are_found_in_the_frames_of_people(results: dict[str, Result], share: str) -> None:
    frames = [
        frame
        for name, (frames, _) in results.items()
        if name.startswith(("real_video/", "fake_video/"))
        for frame in frames
    ]
    assert len(frames) > MINIMUM_FRAMES[share]
    assert with_face(frames) >= 0.99 * len(frames)


@pytest.mark.parametrize(
    ("name", "at_most"),
    [
        ("vfr_testsrc.mp4", 0),
        ("animation_bigbuckbunny_1s.webm", 0),
        ("audio_track_broken.mp4", 0),
        ("dog_640x360.mp4", 2),
    ],
)
def test_no_faces_are_found_where_there_are_none(
    results: dict[str, Result], name: str, at_most: int
) -> None:
    frames, _ = results[f"awkward/{name}"]
    assert frames
    assert with_face(frames) <= at_most


def test_rotated_clips_give_upright_crops(
    results: dict[str, Result], index: dict[str, dict[str, str]]
) -> None:
    rotated = [name for name, row in index.items() if row["rotation"] not in ("", "0")]
    assert len(rotated) == 2
    for name in rotated:
        for frame in results[name][0]:
            sides = (int(index[name]["width"]), int(index[name]["height"]))
            is_turned = abs(int(index[name]["rotation"])) == 90
            assert (frame.width, frame.height) == (sides[::-1] if is_turned else sides)
    faces = [face for frame in results[rotated_portrait(rotated)][0] for face in frame.faces]
    assert len(faces) == 5
    for face in faces:
        right_eye, left_eye, nose, mouth, *_ = np.reshape(face.keypoints, (6, 2))
        assert right_eye[0] < left_eye[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]


def rotated_portrait(names: list[str]) -> str:
    (name,) = [name for name in names if "rotated_90" in name]
    return name


def test_points_of_the_mesh_lie_on_the_faces(
    results: dict[str, Result], index: dict[str, dict[str, str]], share: str
) -> None:
    """Of the largest face of the first three frames; others may be a few pixels in a crowd."""
    faces = [
        frame.faces[0]
        for name, (frames, _) in results.items()
        for frame in frames[:3]
        if index[name]["label"] == "real" and frame.outcome == "faces"
    ]
    assert len(faces) > MINIMUM_FRAMES[share] / 5
    off = []
    found = [(face, face.landmarks) for face in faces if face.landmarks is not None]
    assert len(found) >= 0.9 * len(faces)
    for face, points in found:
        keypoints = (np.reshape(face.keypoints, (6, 2)) - face.crop[:2]) * (224 / face.crop[2])
        assert points[TOP, 1] < eyes(points)[:, 1].mean() < points[CHIN, 1]
        off.append(np.abs(eyes(points) - keypoints[:2]).max() / 224)
        assert np.mean((points > 0) & (points < 224)) > 0.9, face.crop
    assert np.median(off) < 0.05
    assert max(off) < 0.2
