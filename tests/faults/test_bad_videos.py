"""Every kind of bad or unusual video ends with an outcome, and costs no other video anything."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd
from tests.helpers.clips import moving_noise, talking_head, write_clip
from tests.helpers.heads import scatter


@pytest.fixture(scope="module")
def extractor() -> Iterator[SupervisedExtractor]:
    extractor = SupervisedExtractor(FacesSection())
    yield extractor
    extractor.close()


def run(extractor: SupervisedExtractor, path: Path | str) -> tuple[list[Frame], VideoEnd]:
    *frames, end = extractor.extract(str(path))
    assert isinstance(end, VideoEnd)
    assert end.attempts == 1
    return [frame for frame in frames if isinstance(frame, Frame)], end


def outcomes(frames: list[Frame]) -> list[str]:
    return [frame.outcome for frame in frames]


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        for i in range(20):
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            silence.sample_rate, silence.pts = 44100, 1024 * i
            out.mux(stream.encode(silence))
        out.mux(stream.encode(None))
    return path


def write_without_frames(path: Path) -> Path:
    """As a recorder that was stopped at once leaves it."""
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.start_encoding()
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / "clip.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("This is no video.\n" * 500)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(100_000))
    elif kind == "index cut off":
        cut(write_clip(path, talking_head(50)), 0.6)
    elif kind == "sound only":
        write_sound(path)
    elif kind == "no frames":
        write_without_frames(path)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "cannot be opened"),
        ("text", "cannot be opened"),
        ("noise", "cannot be opened"),
        ("index cut off", "cannot be opened"),
        ("sound only", "no video stream"),
        ("no frames", "no pictures"),
        ("not there", "No such file"),
    ],
)
def test_what_is_no_video_is_unreadable_with_its_reason(
    extractor: SupervisedExtractor, kind: str, reason: str, tmp_path: Path
) -> None:
    frames, end = run(extractor, bad_file(kind, tmp_path))
    assert frames == []
    assert end.status == "unreadable"
    assert reason in str(end.reason)


def test_a_truncated_file_gives_the_faces_that_it_still_has(
    extractor: SupervisedExtractor, tmp_path: Path
) -> None:
    path = cut(write_clip(tmp_path / "clip.mkv", talking_head(100), options={"g": "25"}), 0.5)
    frames, end = run(extractor, path)
    *decoded, missing = frames
    assert 1 <= len(decoded) < 4
    assert set(outcomes(decoded)) == {"faces"}
    assert missing.outcome == "decode_error"
    assert "the file is shorter than its header says" in (missing.reason or "")
    assert (end.status, end.reason) == ("ok", missing.reason)


def test_one_pixel_is_enough(extractor: SupervisedExtractor, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [np.full((1, 1, 3), 128, np.uint8)] * 5, fps=1)
    frames, end = run(extractor, path)
    assert outcomes(frames) == ["no_face"] * 5
    assert (frames[0].width, frames[0].height) == (1, 1)
    assert end.status == "no_face"


def test_sixteen_frames_are_one_sample(extractor: SupervisedExtractor, tmp_path: Path) -> None:
    frames, end = run(extractor, write_clip(tmp_path / "clip.mp4", talking_head(16)))
    assert outcomes(frames) == ["faces"]
    assert end.status == "ok"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_gives_upright_faces(
    extractor: SupervisedExtractor, degrees: int, tmp_path: Path
) -> None:
    sideways = [np.rot90(picture, -degrees // 90) for picture in talking_head(30)]
    frames, _ = run(extractor, write_clip(tmp_path / "clip.mp4", sideways, rotation=degrees))
    assert outcomes(frames) == ["faces"] * 2
    for frame in frames:
        assert (frame.width, frame.height) == (320, 240)
        right_eye, left_eye, nose, mouth, *_ = np.reshape(frame.faces[0].keypoints, (6, 2))
        assert right_eye[1] < nose[1] < mouth[1]
        assert right_eye[0] < nose[0] < left_eye[0]


def test_a_variable_rate_is_sampled_by_the_clock(
    extractor: SupervisedExtractor, tmp_path: Path
) -> None:
    times = [0, 0.04, 0.08, 0.9, 1.1, 3.2, 3.24]
    frames, _ = run(extractor, write_clip(tmp_path / "clip.mp4", talking_head(7), times_s=times))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.9, 1.1, 1.1])


def test_of_two_video_streams_the_default_one_is_read(
    extractor: SupervisedExtractor, tmp_path: Path
) -> None:
    clips = moving_noise(30, 64, 48), talking_head(30)
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25) for _ in clips]
        for stream, clip in zip(streams, clips, strict=True):
            stream.height, stream.width = clip[0].shape[:2]
            stream.pix_fmt = "yuv420p"
        streams[1].disposition = av.stream.Disposition.default
        for pair in zip(*clips, strict=True):
            for stream, image in zip(streams, pair, strict=True):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in streams:
            out.mux(stream.encode(None))
    frames, _ = run(extractor, path)
    assert outcomes(frames) == ["faces"] * 2


def test_no_face_is_an_outcome(extractor: SupervisedExtractor, tmp_path: Path) -> None:
    frames, end = run(extractor, write_clip(tmp_path / "clip.mp4", moving_noise(30, 320, 240)))
    assert outcomes(frames) == ["no_face"] * 2
    assert (end.status, end.reason) == ("no_face", "no face in any frame")


def test_forty_faces_are_forty(extractor: SupervisedExtractor, tmp_path: Path) -> None:
    picture, heads = scatter(40, 80, 1920, 1080, seed=1)
    path = write_clip(tmp_path / "clip.mp4", [picture] * 2, options={"crf": "18"})
    (frame,), _ = run(extractor, path)
    centres = [
        (face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2) for face in frame.faces
    ]
    for x, y in heads:
        assert any(abs(cx - x - 40) < 24 and abs(cy - y - 40) < 24 for cx, cy in centres)
    assert [face.face_index for face in frame.faces] == list(range(len(frame.faces)))


@pytest.mark.parametrize(
    "name", ["with some  spaces.mp4", "größe-видео-映像.mp4", "a'b\"c%20d#?.mp4"]
)
def test_any_name_will_do(extractor: SupervisedExtractor, name: str, tmp_path: Path) -> None:
    frames, end = run(extractor, write_clip(tmp_path / name, talking_head(5)))
    assert outcomes(frames) == ["faces"]
    assert end.status == "ok"


AS_ORDINARY_USER = """
import os, sys
from dfray.config import FacesSection
from dfray.faces.sources import UnreadableSourceError, VideoFile
from dfray.faces.video import VideoExtractor
extractor = VideoExtractor(FacesSection())
if os.geteuid() == 0:
    os.setuid(65534)
try:
    list(extractor.extract(VideoFile(sys.argv[1])))
except UnreadableSourceError as error:
    print(error)
extractor.close()
"""


def test_a_file_that_may_not_be_read_is_unreadable() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        os.chmod(folder, 0o755)
        path = write_clip(Path(folder, "secret.mp4"), talking_head(5))
        path.chmod(0o000)
        done = subprocess.run(
            [sys.executable, "-c", AS_ORDINARY_USER, str(path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "cannot be opened: Permission denied"
