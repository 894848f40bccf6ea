"""No video ends or stops the extraction: crashes and hangs are real, in a real child process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
import pytest

from dfray import storage
from dfray.config import FacesSection
from dfray.errors import ExtractionError, ModelFileError
from dfray.faces import supervise
from dfray.faces.sources import PartialVideo, VideoFile, content_digest
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd, VideoExtractor
from tests.helpers.clips import talking_head, write_clip

FRAGILE = (sys.executable, "-m", "tests.helpers.fragile_child")
IMPATIENT = FacesSection(stall_limit_s=2.0)


@pytest.fixture(scope="module")
def fragile() -> Iterator[SupervisedExtractor]:
    extractor = SupervisedExtractor(IMPATIENT, FRAGILE)
    yield extractor
    extractor.close()


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", talking_head(105))


@pytest.fixture
def clip(encoded: Path, tmp_path: Path) -> Path:
    """Five sampled frames, in a folder of the test's own."""
    return Path(shutil.copy(encoded, tmp_path))


@pytest.fixture
def plain_server(clip: Path) -> Iterator[str]:
    """http://… that gives the clip for any path, states no length and ignores Range."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(clip.read_bytes())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def killed_at_start(left: Path, times: int) -> tuple[str, ...]:
    """Return the command of a child that is killed while it starts, as long as `left` has bytes left."""
    left.write_bytes(bytes(times))
    program = (
        "import os, pathlib, signal; from dfray.faces.child import main; "
        f"left = pathlib.Path({str(left)!r}); n = left.stat().st_size; "
        "n and (os.truncate(left, n - 1), os.kill(os.getpid(), signal.SIGKILL)); main()"
    )
    return (sys.executable, "-c", program)


def run(extractor: SupervisedExtractor, path: Path) -> tuple[list[Frame], VideoEnd]:
    *items, end = extractor.extract(str(path))
    frames = [item for item in items if isinstance(item, Frame)]
    assert isinstance(end, VideoEnd)
    assert len(frames) == len(items)
    return frames, end


def indices(frames: list[Frame]) -> list[int]:
    return [frame.frame_index for frame in frames]


def child_of(extractor: SupervisedExtractor) -> psutil.Process:
    assert extractor._child is not None
    return psutil.Process(extractor._child._process.pid)


def kill_child(extractor: SupervisedExtractor) -> None:
    """Kill its child, and wait for the end of it."""
    assert extractor._child is not None
    extractor._child._process.kill()
    extractor._child._process.wait()


def test_it_gives_what_the_unsupervised_extractor_gives(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    frames, end = run(fragile, clip)
    plain = VideoExtractor(IMPATIENT)
    for ours, expected in zip(frames, plain.extract(VideoFile(str(clip))), strict=True):
        assert ours.faces[0].box == expected.faces[0].box
        assert np.array_equal(ours.faces[0].image, expected.faces[0].image)
    plain.close()
    assert (end.status, end.reason, end.attempts) == ("ok", None, 1)
    assert end.digest == content_digest(str(clip), "video")
    assert 0 < end.cpu_s < 60


def test_its_end_says_what_is_amiss_with_a_video_that_has_faces(
    fragile: SupervisedExtractor, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "half.mkv", talking_head(50), options={"g": "10"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames, end = run(fragile, path)
    assert frames[0].outcome == "faces"
    assert end.status == "ok"
    assert str(end.reason).startswith("the file is shorter than its header says (1.")


def test_its_end_carries_the_properties_of_the_stream(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    _, end = run(fragile, clip)
    stream = end.stream
    assert (stream.codec, stream.width, stream.height, stream.fps) == ("h264", 320, 240, 25.0)
    assert (stream.interlacing, stream.rotation_deg) == ("progressive", 0)


def test_a_crash_that_comes_once_costs_nothing_and_no_frame_comes_twice(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    Path(f"{clip}.abort").write_text("2")
    frames, end = run(fragile, clip)
    assert indices(frames) == [0, 1, 2, 3, 4]
    assert (end.status, end.attempts) == ("ok", 2)


def test_a_video_that_always_crashes_is_given_up_after_two_attempts(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    Path(f"{clip}.abort").write_text("4\n4\n4")
    frames, end = run(fragile, clip)
    assert indices(frames) == [0, 1, 2, 3]
    assert end.status == "crashed"
    assert end.attempts == 2
    assert end.reason == (
        "the decoder crashed with SIGABRT after frame 3 (free(): invalid pointer)"
    )
    assert Path(f"{clip}.abort").read_text() == "4"


def test_a_video_that_hangs_is_stopped(fragile: SupervisedExtractor, clip: Path) -> None:
    Path(f"{clip}.hang").write_text("0\n0")
    start_s = time.monotonic()
    frames, end = run(fragile, clip)
    assert frames == []
    assert (end.status, end.attempts) == ("timed_out", 2)
    assert end.reason == "nothing came from the decoder for 2 s before the first frame"
    assert time.monotonic() - start_s < 60


def test_a_mount_that_hangs_costs_the_video_as_a_decoder_that_hangs_does(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    Path(f"{clip}.stuck").touch()
    frames, end = run(fragile, clip)
    assert frames == []
    assert (end.status, end.attempts, end.digest) == ("timed_out", 2, None)
    Path(f"{clip}.stuck").unlink()
    frames, end = run(fragile, clip)
    assert (end.status, end.digest) == ("ok", content_digest(str(clip), "video"))


def test_an_exit_is_a_crash_too_and_the_next_video_is_as_good_as_any(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    Path(f"{clip}.exit").write_text("1\n1")
    frames, end = run(fragile, clip)
    assert indices(frames) == [0]
    assert (end.status, end.attempts) == ("crashed", 2)
    assert end.reason == "the decoder crashed with exit status 3 after frame 0"
    Path(f"{clip}.exit").unlink()
    frames, end = run(fragile, clip)
    assert indices(frames) == [0, 1, 2, 3, 4]
    assert (end.status, end.attempts) == ("ok", 1)


def test_a_child_killed_between_videos_is_replaced(
    fragile: SupervisedExtractor, clip: Path
) -> None:
    run(fragile, clip)
    kill_child(fragile)
    frames, end = run(fragile, clip)
    assert len(frames) == 5
    assert (end.status, end.attempts) == ("ok", 1)


def test_half_a_video_may_be_left(fragile: SupervisedExtractor, clip: Path) -> None:
    arriving = fragile.extract(str(clip))
    next(arriving)
    arriving.close()  # type: ignore[attr-defined]
    frames, end = run(fragile, clip)
    assert indices(frames) == [0, 1, 2, 3, 4]
    assert end.status == "ok"


def test_slow_but_steady_work_is_no_hang(fragile: SupervisedExtractor, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", talking_head(26))
    Path(f"{clip}.slow").touch()
    start_s = time.monotonic()
    frames, end = run(fragile, clip)
    assert time.monotonic() - start_s > 2 * IMPATIENT.stall_limit_s
    assert indices(frames) == [0, 1]
    assert (end.status, end.attempts) == ("ok", 1)


def test_a_child_is_recycled(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "RECYCLE_AFTER", 2)
    extractor = SupervisedExtractor(FacesSection())
    children = []
    for _ in range(3):
        run(extractor, clip)
        children.append(child_of(extractor))
    extractor.close()
    assert children[0].pid == children[1].pid != children[2].pid
    assert not any(child.is_running() for child in children)


def test_a_missing_model_is_told_before_the_first_video(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="missing"):
        SupervisedExtractor(FacesSection(detector_model=str(tmp_path / "none.tflite")))


def test_a_child_that_cannot_start_is_no_videos_fault() -> None:
    dies = (sys.executable, "-c", "raise SystemExit('no such library')")
    with pytest.raises(ExtractionError, match="did not start.*no such library"):
        SupervisedExtractor(FacesSection(), dies)


def test_a_child_killed_while_it_starts_counts_as_an_attempt(clip: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    extractor = SupervisedExtractor(IMPATIENT, killed_at_start(left, 1))
    for times, attempts in [(0, 1), (1, 2)]:
        left.write_bytes(bytes(times))
        frames, end = run(extractor, clip)
        assert indices(frames) == [0, 1, 2, 3, 4]
        assert (end.status, end.attempts) == ("ok", attempts)
        kill_child(extractor)
    left.write_bytes(bytes(9))
    with pytest.raises(ExtractionError, match="did not start: the decoder crashed with SIGKILL"):
        run(extractor, clip)
    assert left.stat().st_size == 7
    left.write_bytes(b"")
    assert run(extractor, clip)[1].status == "ok"
    extractor.close()


def test_a_remote_video_is_read_by_the_parent_in_parts(
    fragile: SupervisedExtractor, clip: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfray.faces.sources.LONG_VIDEO_BYTES", 1)
    uri = f"{bucket}/clip.mp4"
    storage.put(clip, uri)
    assert not any(name.startswith("AWS_") for name in child_of(fragile).environ())
    frames, end = run(fragile, clip)
    *remote, remote_end = fragile.extract(uri)
    assert isinstance(remote_end, VideoEnd)
    assert (remote_end.status, remote_end.reason) == (end.status, end.reason)
    assert remote_end.digest is None
    for ours, expected in zip(remote, frames, strict=True):
        assert isinstance(ours, Frame)
        assert np.array_equal(ours.faces[0].image, expected.faces[0].image)


def test_a_remote_video_that_cannot_be_read_to_its_end_is_unreadable_with_a_reason(
    fragile: SupervisedExtractor, clip: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfray.faces.sources.LONG_VIDEO_BYTES", 1)
    uri = f"{bucket}/clip.mp4"
    storage.put(clip, uri)
    with storage.partial_copy(uri) as copy:
        storage.write_bytes(bytes(copy.n_bytes), uri)
        video = PartialVideo(copy.path, copy.n_bytes)
        *frames, end = fragile.extract_source(video, copy)
    assert frames == []
    assert isinstance(end, VideoEnd)
    assert end.status == "unreadable"
    assert "replaced" in str(end.reason)


def test_a_remote_folder_costs_its_row_and_not_the_extraction(
    fragile: SupervisedExtractor, clip: Path, bucket: str
) -> None:
    storage.put(clip, f"{bucket}/group/clip.mp4")
    (end,) = fragile.extract(f"{bucket}/group")
    assert isinstance(end, VideoEnd)
    assert (end.status, end.attempts) == ("unreadable", 1)
    assert "folder" in str(end.reason)


def test_a_server_that_states_no_size_and_knows_no_ranges_gives_whole_files(
    fragile: SupervisedExtractor, clip: Path, plain_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfray.faces.sources.LONG_VIDEO_BYTES", 1)
    monkeypatch.setenv("DFRAY_FETCH", "http")
    frames, end = run(fragile, clip)
    *remote, remote_end = fragile.extract(f"{plain_server}/clip.mp4")
    assert isinstance(remote_end, VideoEnd)
    assert (remote_end.status, len(remote)) == (end.status, len(frames))


def test_what_only_an_operator_may_ask_for_is_not_fetched(
    fragile: SupervisedExtractor, plain_server: str
) -> None:
    (end,) = fragile.extract(f"{plain_server}/clip.mp4")
    assert isinstance(end, VideoEnd)
    assert end.status == "unreadable"
    assert "http:// is not fetched" in str(end.reason)


def test_a_video_that_takes_too_much_memory_costs_itself(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFRAY_CHILD_MEMORY_MB", "200")
    Path(f"{clip}.large").touch()
    extractor = SupervisedExtractor(FacesSection(), FRAGILE)
    _, end = run(extractor, clip)
    assert (end.status, end.reason) == (
        "unreadable",
        "takes more than 200 MiB of memory (DFRAY_CHILD_MEMORY_MB)",
    )
    Path(f"{clip}.large").unlink()
    frames, end = run(extractor, clip)
    extractor.close()
    assert (len(frames), end.status) == (5, "ok")


def test_what_is_no_file_is_not_waited_for(fragile: SupervisedExtractor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    os.mkfifo(tmp_path / "a.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "b.mp4"))
        told = [str(tmp_path / name) for name in ("a.mp4", "a.png", "b.mp4")]
        ends = [end for uri in (*told, "/dev/zero") for end in fragile.extract(uri)]
    reasons = [end.reason for end in ends if isinstance(end, VideoEnd)]
    kinds = ("a named pipe", "a named pipe", "a socket", "a device")
    assert reasons == [f"is {kind}, not a file" for kind in kinds]


PARENT = """
import sys, time
from dfray.config import FacesSection
from dfray.faces.supervise import Bounds, SupervisedExtractor
extractor = SupervisedExtractor(FacesSection())
for item in extractor.extract(sys.argv[1]):
    print(extractor._child._process.pid, flush=True)
time.sleep(600)
"""


def test_the_child_dies_with_its_parent_and_says_nothing_on_its_terminal(clip: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(clip)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    _, said = parent.communicate()
    child.wait(timeout=20)
    assert said == ""
