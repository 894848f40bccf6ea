"""Formats and protocols that FFmpeg may open: what only names other files is no video."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest

from dfray.datasets.container import FORMATS, ContainerError, duration_s, open_container
from tests.helpers.videos import write_video

POINTERS = {
    "a list to join": "ffconcat version 1.0\nfile clip.mp4\n",
    "a playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nclip.mp4\n#EXT-X-ENDLIST\n",
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", frames=6, fps=2)


def test_a_video_is_opened_with_its_duration(clip: Path) -> None:
    with open_container(str(clip)) as container:
        assert duration_s(container, container.streams.video[0]) == pytest.approx(3.0)
    with clip.open("rb") as file, open_container(file) as container:
        assert len(container.streams.video) == 1


@pytest.mark.parametrize("kind", POINTERS)
@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.m3u8"])
def test_a_text_that_points_to_other_files_is_no_video(
    kind: str, name: str, clip: Path, tmp_path: Path
) -> None:
    """Not the video beside it either, which it may name."""
    pointer = tmp_path / name
    pointer.write_text(POINTERS[kind])
    with pytest.raises(ContainerError, match="cannot be opened"):
        open_container(str(pointer))
    with pointer.open("rb") as file, pytest.raises(ContainerError, match="cannot be opened"):
        open_container(file)


def test_a_format_that_is_not_listed_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text(POINTERS["a list to join"])
    with pytest.raises(ContainerError, match="in no format of videos that is read"):
        open_container(str(tmp_path / "a.mp4"))


def test_every_listed_format_is_one_of_this_ffmpeg_that_opens_no_other_file() -> None:
    demuxers = {name for form in av.formats_available for name in form.split(",")}
    assert set(FORMATS) <= demuxers
    pointing = {
        "hls",
        "concat",
        "dash",
        "webm_dash_manifest",
        "imf",
        "image2",
        "sdp",
        "rtsp",
        "vobsub",
    }
    assert pointing.isdisjoint(FORMATS)
    assert {"lavfi", "tty", "data", "rawvideo", "x11grab", "fbdev", "alsa"}.isdisjoint(FORMATS)


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(ContainerError, match="is a named pipe, not a file"):
        open_container(str(tmp_path / "a.mp4"))


def test_a_title_that_is_not_utf8_hides_no_video(clip: Path) -> None:
    with av.open(str(clip.with_suffix(".mkv")), "w") as out:
        out.metadata["title"] = "Cafe#"
        stream = out.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(stream.encode(None))
    data = clip.with_suffix(".mkv").read_bytes()
    assert data.count(b"Cafe#") == 1
    clip.with_suffix(".mkv").write_bytes(data.replace(b"Cafe#", b"Caf\xe9!"))
    with open_container(str(clip.with_suffix(".mkv"))) as container:
        assert container.metadata["title"] == "Caf\ufffd!"
