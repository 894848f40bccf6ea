"""One list of suffixes: what FFmpeg reads as a video counts as one."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from dfray.datasets.probe import probe
from dfray.datasets.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_picture, is_video, suffix_of

WRITERS = {
    "mp4": ("mpeg4", "mp4 m4v"),
    "mov": ("mpeg4", "mov qt"),
    "3gp": ("mpeg4", "3gp 3gpp"),
    "3g2": ("mpeg4", "3g2"),
    "f4v": ("libx264", "f4v"),
    "matroska": ("mpeg4", "mkv"),
    "webm": ("libvpx", "webm"),
    "avi": ("mpeg4", "avi divx"),
    "flv": ("flv", "flv"),
    "asf": ("msmpeg4", "asf wmv"),
    "mpegts": ("mpeg2video", "ts mts m2ts m2t"),
    "mpeg": ("mpeg1video", "mpg mpeg"),
    "vob": ("mpeg2video", "vob"),
    "ogv": ("libvpx", "ogv"),
    "mxf": ("mpeg2video", "mxf"),
    "gif": ("gif", "gif"),
    "nut": ("mpeg4", "nut"),
    "ivf": ("libvpx", "ivf"),
    "yuv4mpegpipe": ("wrapped_avframe", "y4m"),
    "h264": ("libx264", "h264 264"),
}
NO_VIDEO = {
    *(
        ".m4a",
        ".m4b",
        ".isma",
        ".wma",
        ".ra",
        ".mp3",
        ".flac",
        ".afc",
        ".aif",
        ".aifc",
        ".aiff",
    ),  # sound
    *(".fits", ".ico", ".avif", ".dpx", ".exr", ".hdr", ".pix"),  # pictures
    *(".a64", ".cpk", ".flm", ".roq", ".rgb", ".yuv"),  # games, raw pixels
    *(
        ".mpd",
        ".m3u8",
        ".avs",
        ".avs2",
        ".avs3",
        ".cavs",
        ".evc",
        ".rcv",
    ),  # lists, and what cameras lack
}
"""Suffixes that FFmpeg writes with pictures in them, and that are no videos of people."""


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_each_container_counts_and_can_be_opened(name: str, tmp_path: Path) -> None:
    codec, suffixes = WRITERS[name]
    for suffix in suffixes.split():
        path = tmp_path / f"A.{suffix.upper()}"
        try:
            write(path, name, codec)
        except (ValueError, av.FFmpegError) as error:
            pytest.skip(f"this FFmpeg does not write {name}: {error}")
        assert is_video(str(path))
        assert probe(str(path)).problem is None


def write(path: Path, container: str, codec: str) -> None:
    picture = np.zeros((288, 352, 3), np.uint8)  # CIF: what each of the codecs takes
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height = 352, 288
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())


def test_every_suffix_that_ffmpeg_writes_videos_to_is_known() -> None:
    unknown = set()
    for name in av.formats_available:
        if name.startswith("image2") or not _writes_video(name):
            continue
        suffixes = {
            f".{suffix.strip().lower()}" for suffix in av.ContainerFormat(name, "w").extensions
        }
        unknown |= suffixes - {*VIDEO_SUFFIXES, *IMAGE_SUFFIXES} - NO_VIDEO
    assert unknown == set()


def _writes_video(name: str) -> bool:
    import io

    try:
        with av.open(io.BytesIO(), "w", format=name) as container:
            return container.default_video_codec != "none"
    except (ValueError, av.FFmpegError, OSError):
        return False


def test_no_suffix_is_of_two_kinds_and_all_are_lower_case() -> None:
    assert not set(VIDEO_SUFFIXES) & set(IMAGE_SUFFIXES)
    assert len(set(VIDEO_SUFFIXES)) == len(VIDEO_SUFFIXES)
    assert all(suffix == suffix.lower() for suffix in VIDEO_SUFFIXES)


def test_suffixes_of_hidden_and_of_doubled_names() -> None:
    names = ("a.MP4", "b.tar.gz", ".DS_Store", "x.d/LICENSE", "a.")
    assert [suffix_of(name) for name in names] == [".mp4", ".gz", "", "", "."]
    assert not is_picture("f/._1.png")
    assert not is_picture("__MACOSX/f/1.png")
