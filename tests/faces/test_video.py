"""From a video to its frames and faces, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dfray import storage
from dfray.config import FacesSection
from dfray.faces.crop import crop_square
from dfray.faces.detect import SearchResult, SmallFaces
from dfray.faces.sources import PixelArray, VideoFile, local_source
from dfray.faces.video import VideoExtractor
from tests.helpers.clips import moving_noise, talking_head, write_clip
from tests.helpers.heads import background, blobs, draw_head, paste


@pytest.fixture(scope="module")
def extractor() -> Iterator[VideoExtractor]:
    extractor = VideoExtractor(FacesSection())
    yield extractor
    extractor.close()


def test_every_sampled_frame_of_a_portrait_yields_its_face(
    extractor: VideoExtractor, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "head.mp4", talking_head(60))
    frames = list(extractor.extract(VideoFile(str(path))))
    assert [(f.frame_index, f.time_s, f.outcome) for f in frames] == [
        (0, 0.0, "faces"),
        (1, 1.0, "faces"),
        (2, 2.0, "faces"),
    ]
    for frame in frames:
        assert (frame.width, frame.height, frame.reason) == (320, 240, None)
        (face,) = frame.faces
        assert face.face_index == 0
        assert 0.5 <= face.score <= 1
        assert len(face.keypoints) == 12
        assert face.crop == crop_square(face.box, 320, 240, 1.3)
        assert face.image.shape == (224, 224, 3)
        assert face.image.dtype == np.uint8


def test_frames_with_a_face_have_a_thumbnail_if_it_is_asked_for(
    extractor: VideoExtractor, tmp_path: Path
) -> None:
    picture = background(320, 240)
    paste(picture, draw_head(1, 140), 100, 60)
    (frame,) = extractor.extract(PixelArray(picture), thumbnail_px=160)
    assert frame.thumbnail is not None
    assert frame.thumbnail.shape == (120, 160, 3)
    mean = picture.reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    assert np.abs(frame.thumbnail - mean).max() <= 1
    (as_it_is,) = extractor.extract(PixelArray(picture), thumbnail_px=640)
    assert np.array_equal(as_it_is.thumbnail, picture)
    (without,) = extractor.extract(PixelArray(picture))
    (no_face,) = extractor.extract(PixelArray(background(320, 240)), thumbnail_px=160)
    assert without.thumbnail is no_face.thumbnail is None


def test_a_video_in_a_bucket_gives_the_same(
    extractor: VideoExtractor, bucket: str, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "head.mp4", talking_head(30))
    uri = f"{bucket}/clips/head 1.mp4"
    storage.put(path, uri)
    with local_source(str(path)) as here, local_source(uri) as copied:
        local, remote = (list(extractor.extract(source)) for source in (here, copied))
    assert len(local) == len(remote) == 2
    for a, b in zip(local, remote, strict=True):
        assert np.array_equal(a.faces[0].image, b.faces[0].image)


def test_frames_without_a_face_are_told(extractor: VideoExtractor, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "noise.mp4", moving_noise(30, 320, 240))
    assert [f.outcome for f in extractor.extract(VideoFile(str(path)))] == ["no_face", "no_face"]


def test_a_still_picture_is_looked_at_once(
    extractor: VideoExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    find = extractor._finder.find

    def counted(image: np.ndarray, small_faces: SmallFaces, *before: object) -> SearchResult:
        looks.append(1)
        return find(image, small_faces, *before)

    monkeypatch.setattr(extractor._finder, "find", counted)
    path = write_clip(tmp_path / "still.mp4", talking_head(3), times_s=[0, 0.1, 5.1])
    frames = list(extractor.extract(VideoFile(str(path))))
    assert [(f.frame_index, f.time_s) for f in frames] == [(0, 0.0)] + [
        (k, 0.1) for k in range(1, 6)
    ]
    assert all(f.outcome == "faces" for f in frames)
    assert len(looks) == 2


def test_size_and_margin_are_as_set(tmp_path: Path) -> None:
    extractor = VideoExtractor(FacesSection(size_px=64, margin_ratio=1.0, rate_fps=2.0))
    path = write_clip(tmp_path / "head.mp4", talking_head(30))
    frames = list(extractor.extract(VideoFile(str(path))))
    extractor.close()
    assert len(frames) == 3
    (face,) = frames[0].faces
    assert face.image.shape == (64, 64, 3)
    assert face.crop[2] == round(max(face.box[2:]))


def test_small_faces_small_faces_a_large_one_are_found_in_every_frame(
    extractor: VideoExtractor, tmp_path: Path
) -> None:
    picture = background(1280, 720)
    paste(picture, draw_head(1, 420), 100, 150)
    for seed, x in ((2, 700), (3, 900), (4, 1100)):
        paste(picture, draw_head(seed, 80), x, 300)
    path = write_clip(tmp_path / "crowd.mp4", [picture] * 3, fps=1)
    frames = list(extractor.extract(VideoFile(str(path))))
    assert [len(frame.faces) for frame in frames] == [4, 4, 4]


def test_hints_of_small_faces_are_looked_for_once_in_twenty_frames(
    extractor: VideoExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SmallFaces] = []
    find = extractor._finder.find

    def noted(image: np.ndarray, small_faces: SmallFaces, *before: object) -> SearchResult:
        asked.append(small_faces)
        return find(image, small_faces, *before)

    monkeypatch.setattr(extractor._finder, "find", noted)
    path = write_clip(tmp_path / "head.mp4", talking_head(22), fps=1)
    assert len(list(extractor.extract(VideoFile(str(path))))) == 22
    assert [k for k, small_faces in enumerate(asked) if small_faces == "hint"] == [0, 20]
    assert asked.count("skip") == 20


def test_a_resumed_extraction_searches_as_one_from_the_start(
    extractor: VideoExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same evidence of the pictures before, and the same search for small faces."""
    searches: list[tuple[bytes, SmallFaces, int]] = []
    find = extractor._finder.find

    def noted(image: np.ndarray, small_faces: SmallFaces, before: list) -> SearchResult:
        searches.append((image.tobytes(), small_faces, len(before)))
        return find(image, small_faces, before)

    monkeypatch.setattr(extractor._finder, "find", noted)
    path = write_clip(tmp_path / "head.mp4", talking_head(44), fps=1)
    frames = list(extractor.extract(VideoFile(str(path))))
    from_start, searches[:] = list(searches), []
    resumed = list(extractor.extract(VideoFile(str(path)), first_frame=25))
    assert [frame.frame_index for frame in resumed] == list(range(25, 44))
    assert searches == from_start[20:]
    assert [[f.box for f in r.faces] for r in resumed] == [
        [f.box for f in r.faces] for r in frames[25:]
    ]


def test_a_doubtful_face_is_refused_and_counted(tmp_path: Path) -> None:
    for doubt_score in (0.0, 0.8):
        extractor = VideoExtractor(FacesSection(doubt_score=doubt_score))
        (frame,) = extractor.extract(PixelArray(blobs(43)))
        extractor.close()
        is_refused = doubt_score > 0
        assert (frame.outcome, frame.n_doubtful) == (("no_face", 1) if is_refused else ("faces", 0))
