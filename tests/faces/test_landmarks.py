"""The face mesh lies on the face, whatever its place, size and turn; a doubtful face has none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from dfray.config import FacesSection
from dfray.errors import ModelFileError, UserError
from dfray.faces import model_file
from dfray.faces.crop_codec import decode_landmarks
from dfray.faces.detect import FaceFinder
from dfray.faces.extract import ShardExtractor
from dfray.faces.face_detector import Detection
from dfray.faces.landmarks import LandmarkFinder
from dfray.faces.shards import FacesStore
from dfray.faces.sources import VideoFile
from dfray.faces.video import VideoExtractor
from dfray.tables import FACES, VIDEOS
from tests.helpers.clips import moving_noise, talking_head, write_clip
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.mesh_points import LIPS, eyes, middle
from tests.helpers.rows import video_row


@pytest.fixture(scope="module")
def detector() -> Iterator[FaceFinder]:
    finder = FaceFinder(FacesSection())
    yield finder
    finder.close()


@pytest.fixture(scope="module")
def landmarks() -> LandmarkFinder:
    return LandmarkFinder()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("side", [90, 300])
def test_points_lie_where_the_head_was_drawn(
    detector: FaceFinder, landmarks: LandmarkFinder, seed: int, side: int
) -> None:
    picture = background(520, 400, seed)
    left, top = 150 + 5 * seed, 40
    paste(picture, draw_head(seed, side), left, top)
    (face,) = detector.find(picture).faces
    points = landmarks.find(picture, face)
    assert points is not None
    assert points.shape == (468, 2)
    assert points.dtype == np.float32
    drawn = (points - (left, top)) / (side / 2) - 1  # the head's own frame, -1..1
    np.testing.assert_allclose(eyes(drawn), [(-0.285, -0.1), (0.285, -0.1)], atol=0.12)
    np.testing.assert_allclose(middle(drawn, LIPS), (0, 0.52), atol=0.12)
    assert np.all(np.abs(drawn) < 1.1)


def test_the_region_turns_with_the_head(detector: FaceFinder, landmarks: LandmarkFinder) -> None:
    picture = background(400, 400)
    paste(picture, draw_head(1, 220), 90, 90)
    turn = cv2.getRotationMatrix2D((200, 200), 25, 1.0)
    turned = cv2.warpAffine(picture, turn, (400, 400), borderMode=cv2.BORDER_REPLICATE)
    upright, tilted = (
        landmarks.find(image, detector.find(image).faces[0]) for image in (picture, turned)
    )
    assert upright is not None
    assert tilted is not None
    expected = upright @ turn[:, :2].T + turn[:, 2]
    assert np.abs(tilted - expected).mean() < 0.03 * 220


def test_a_face_is_seen_the_same_wherever_it_stands(
    detector: FaceFinder, landmarks: LandmarkFinder
) -> None:
    """So nothing is lost by half a pixel on the way from the region to the picture."""
    picture = background(400, 400)
    paste(picture, draw_head(2, 200), 90, 90)
    (face,) = detector.find(picture).faces
    points = landmarks.find(picture, face)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    box, keypoints = face.box, np.reshape(face.keypoints, (6, 2))
    swapped = (keypoints * (-1, 1) + (400, 0))[[1, 0, 2, 3, 5, 4]]
    other = Detection(
        face.score, (400 - box[0] - box[2], *box[1:]), tuple(swapped.ravel().tolist())
    )
    reflected = landmarks.find(mirrored, other)
    assert points is not None
    assert reflected is not None
    back = eyes(reflected)[::-1] * (-1, 1) + (400, 0)
    np.testing.assert_allclose(back, eyes(points), atol=2.5)


def test_where_no_face_is_there_are_no_points(landmarks: LandmarkFinder) -> None:
    keypoints = (80.0, 80.0, 120.0, 80.0, 100.0, 100.0, 100.0, 120.0, 60.0, 90.0, 140.0, 90.0)
    nowhere = Detection(0.6, (60.0, 60.0, 80.0, 80.0), keypoints)
    assert landmarks.find(background(200, 200), nowhere) is None


def test_a_video_gives_landmarks_in_pixels_of_the_crop_if_asked(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "head.mp4", talking_head(30))
    found = {}
    for size in (112, 224):
        extractor = VideoExtractor(FacesSection(size_px=size, landmarks=True))
        (face,) = next(extractor.extract(VideoFile(str(path)))).faces
        extractor.close()
        scale = size / face.crop[2]
        keypoints = (np.reshape(face.keypoints, (6, 2)) - face.crop[:2]) * scale
        assert face.landmarks is not None
        assert np.abs(eyes(face.landmarks) - keypoints[:2]).max() < 0.06 * size
        found[size] = face.landmarks
    np.testing.assert_allclose(2 * found[112], found[224], rtol=1e-5)
    extractor = VideoExtractor(FacesSection())
    (face,) = next(extractor.extract(VideoFile(str(path)))).faces
    extractor.close()
    assert face.landmarks is None


def test_extraction_keeps_landmarks_and_counts_them(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "head.mp4", talking_head(60))
    for settings in (FacesSection(size_px=112, landmarks=True), FacesSection(size_px=112)):
        store = FacesStore(str(tmp_path / str(settings.landmarks)))
        store.claim(settings)
        videos = VIDEOS.from_rows([video_row("head", uri=str(path))])
        videos = videos.append_column("quota", pa.array([0], pa.int32()))
        extract = ShardExtractor(store, settings, "summaries")
        assert sum(block.num_rows for block in extract.extract("train-000000000000", videos)) == 1
        extract.close()
        (summary,) = store.summaries().to_pylist()
        assert summary["n_faces"] == 3
        assert summary["n_landmarks"] == (3 if settings.landmarks else None)
        faces = FACES.read(store.shards("train")[0])
        found = decode_landmarks(faces)
        assert np.isfinite(found).all() == settings.landmarks
        if settings.landmarks:
            keypoints = np.reshape(faces["keypoints"].to_pylist(), (3, 6, 2))
            crops = np.array(faces["crop"].to_pylist())
            expected = (keypoints[:, :2] - crops[:, None, :2]) / crops[:, 2, None, None]
            assert np.abs([eyes(points) for points in found] - expected).max() < 0.06


def test_a_store_made_before_there_were_landmarks_is_still_its_own(tmp_path: Path) -> None:
    store = FacesStore(str(tmp_path))
    old = FacesSection(size_px=64).shaping()
    del old["landmarks"]
    (tmp_path / "extraction.json").write_text(json.dumps(old))
    store.claim(FacesSection(size_px=64))
    with pytest.raises(UserError, match=r"faces\.landmarks False \(now True\)"):
        store.claim(FacesSection(size_px=64, landmarks=True))


def test_a_video_without_a_face_costs_no_look(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "noise.mp4", moving_noise(10))
    extractor = VideoExtractor(FacesSection(landmarks=True))
    assert all(frame.outcome == "no_face" for frame in extractor.extract(VideoFile(str(path))))
    extractor.close()


def test_a_missing_model_says_which_command_sets_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match=r"face_landmark\.tflite is missing.*models fetch"):
        LandmarkFinder()


def test_a_file_that_is_no_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    path = tmp_path / "models" / model_file.LANDMARKS_FILE
    path.parent.mkdir()
    path.write_bytes(b"no model at all")
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path))
    monkeypatch.setattr(
        model_file, "LANDMARKS_SHA256", hashlib.sha256(b"no model at all").hexdigest()
    )
    with pytest.raises(ModelFileError, match="cannot load the landmark model"):
        LandmarkFinder()
