"""The pictures of files whose containers do not tell which are shown, or when."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dfray.faces.decode import Picture, sampled_pictures
from tests.helpers.clips import write_clip
from tests.helpers.numbered import number_of, numbered_pictures
from tests.helpers.paff import write_fields
from tests.helpers.remux import (
    Coded,
    Edit,
    from_second_key,
    in_decoding_order,
    packed,
    remux,
    without,
)

N, FPS = 75, 25
H264: dict[str, Any] = {"options": {"g": "20", "bf": "3", "preset": "veryfast"}}
OPEN_H264 = {"options": {"x264-params": "open-gop=1:keyint=20:bframes=3:scenecut=0"}}
OPEN_HEVC = {
    "codec": "libx265",
    "options": {
        "x265-params": "open-gop=1:keyint=20:bframes=3:log-level=none",
        "preset": "ultrafast",
    },
}
MPEG2 = {"codec": "mpeg2video", "options": {"g": "15", "bf": "2"}}
MPEG4 = {"codec": "mpeg4", "options": {"g": "25", "bf": "1"}}


def numbers(path: Path, rate_fps: float) -> list[int | None]:
    return [_number(picture) for picture in sampled_pictures(str(path), rate_fps)]


def _number(picture: Picture) -> int | None:
    return None if picture.image is None else number_of(picture.image)


def clip(folder: Path, name: str, edit: Edit, **settings: Any) -> Path:
    whole = write_clip(folder / f"whole_{name}", numbered_pictures(N), fps=FPS, **settings)
    return remux(whole, folder / name, edit)


@pytest.mark.parametrize(
    ("name", "settings", "first"),
    [
        ("h264.ts", OPEN_H264, 20),
        ("h264.mkv", OPEN_H264, 20),
        ("hevc.mkv", OPEN_HEVC, 20),
        ("hevc.ts", OPEN_HEVC, 20),
        ("mpeg2.mpg", MPEG2, 15),
        ("mpeg2.mkv", MPEG2, 15),
    ],
)
def test_time_runs_from_the_first_picture_shown_of_a_stream_cut_at_an_open_group(
    name: str, settings: dict[str, Any], first: int, tmp_path: Path
) -> None:
    shown = numbers(clip(tmp_path, name, from_second_key, **settings), FPS)
    assert shown[0] is not None
    assert first - 4 < shown[0] <= first + 4
    assert shown == list(range(shown[0], N))


@pytest.mark.parametrize(
    ("name", "settings", "first"),
    [
        ("h264.ts", H264, 20),
        ("hevc.ts", OPEN_HEVC, 20),
        ("mpeg2.ts", MPEG2, 15),
        ("mpeg4.mkv", MPEG4, 25),
        ("vp8.webm", {"codec": "libvpx", "options": {"g": "20", "cpu-used": "8"}}, 20),
    ],
)
def test_pictures_before_the_first_start_of_decoding_are_not_shown(
    name: str, settings: dict[str, Any], first: int, tmp_path: Path
) -> None:
    shown = numbers(clip(tmp_path, name, without(*range(8)), **settings), FPS)
    assert shown[0] is not None
    assert first - 4 < shown[0] <= first + 4
    assert shown == list(range(shown[0], N))


@pytest.mark.parametrize(
    ("name", "settings"), [("h264.ts", H264), ("mpeg2.ts", MPEG2), ("mpeg2.mpg", MPEG2)]
)
def test_pictures_after_a_jump_back_in_time_are_shown_at_their_share(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    pictures = numbered_pictures(100)
    part = write_clip(tmp_path / f"part_{name}", pictures[:50], fps=FPS, **settings)
    joined = remux(part, tmp_path / name, later).read_bytes()
    part = write_clip(tmp_path / f"part_{name}", pictures[50:], fps=FPS, **settings)
    (tmp_path / name).write_bytes(joined + part.read_bytes())
    assert numbers(tmp_path / name, 2.5) == list(range(0, 100, 10))


def later(packets: list[Coded]) -> list[Coded]:
    """Return the packets 30 s later, in ticks of 1 / 90000 s."""
    for coded in packets:
        assert coded.pts is not None
        assert coded.dts is not None
        coded.pts, coded.dts = coded.pts + 30 * 90_000, coded.dts + 30 * 90_000
    return packets


def fields_apart(packets: list[Coded]) -> list[Coded]:
    """Return the packets of a raw stream of fields with times of 50 a second, in ticks of 1 / 1200000 s."""
    for place, coded in enumerate(packets):
        coded.pts = coded.dts = 24_000 * place
    return packets


def fields_together(packets: list[Coded]) -> list[Coded]:
    timed = fields_apart(packets)
    return [
        replace(first, data=first.data + second.data)
        for first, second in zip(timed[::2], timed[1::2], strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("apart.ts", fields_apart),
        ("apart.m2ts", fields_apart),
        ("second_fields_without_a_time.ts", fields_together),
        ("together.mkv", fields_together),
    ],
)
def test_two_fields_with_a_packet_each_are_one_picture(
    name: str, edit: Edit, tmp_path: Path
) -> None:
    raw = write_fields(tmp_path / "raw.h264", numbered_pictures(50))
    path = remux(raw, tmp_path / name, edit)
    assert numbers(path, FPS) == list(range(50))
    assert numbers(path, 2.5) == list(range(0, 50, 10))
    assert numbers(path, 2.0) == [0, 12, 25, 37]


def test_packed_b_frames_are_shown_in_their_turn(tmp_path: Path) -> None:
    path = clip(tmp_path, "packed.avi", packed, **MPEG4)
    assert numbers(path, FPS)[: N - 2] == list(range(N - 2))
    assert numbers(path, 5.0) == list(range(0, N, 5))


@pytest.mark.parametrize("name", ["remuxed.mkv", "remuxed.mp4", "remuxed.avi"])
def test_times_of_decoding_that_pass_for_those_of_presentation_are_seen_through(
    name: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, name, in_decoding_order, **H264)
    assert numbers(path, FPS) == list(range(N))
    assert numbers(path, 2.5) == list(range(0, N, 10))


def test_the_times_of_h264_in_avi_with_dropped_pictures_are_kept(tmp_path: Path) -> None:
    def gaps(packets: list[Coded]) -> list[Coded]:
        return [coded for i, coded in enumerate(packets) if i < 25 or i % 5 == 0]

    path = clip(tmp_path, "gaps.avi", gaps, options={"bf": "0", "g": "5"})
    pictures = list(sampled_pictures(str(path), 1.0))
    assert [_number(picture) for picture in pictures] == [0, 25, 50]
    assert [picture.time_s for picture in pictures] == pytest.approx([0, 1, 2])


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_sampled_at_its_own_rate_no_picture_of_a_matroska_file_is_repeated(
    fps: int, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.mkv", numbered_pictures(N), fps=fps, **H264)
    assert numbers(path, fps) == list(range(N))
    assert numbers(path, fps / 2) == list(range(0, N, 2))


def test_a_still_does_not_multiply(tmp_path: Path) -> None:
    jumping = [n / 25 + 3000 * (n // 15) for n in range(50)]
    path = write_clip(tmp_path / "jumps.mkv", numbered_pictures(50), times_s=jumping, **H264)
    pictures = list(sampled_pictures(str(path), 1.0))
    assert len(pictures) <= 6
    told = [picture.reason for picture in pictures if picture.reason]
    assert told == ["the picture stands for 3000.0 s in the timestamps, of which 1.0 s count"] * 3
    assert all(picture.image is not None for picture in pictures)


@pytest.mark.parametrize("name", ["half.mkv", "half.webm", "half.flv", "half.avi"])
def test_a_file_that_is_shorter_than_its_header_says_is_told(name: str, tmp_path: Path) -> None:
    codec = "libvpx" if name.endswith("webm") else "libx264"
    options = {"g": "10"} | ({"cpu-used": "8"} if codec == "libvpx" else {})
    path = write_clip(tmp_path / name, numbered_pictures(150), codec=codec, options=options)
    whole = path.read_bytes()
    assert all(picture.reason is None for picture in sampled_pictures(str(path), 1.0))
    path.write_bytes(whole[: len(whole) // 2])
    *shown, last = sampled_pictures(str(path), 1.0)
    assert [_number(picture) for picture in shown] == list(range(0, len(shown) * 25, 25))
    assert last.image is None
    told = r"the file is shorter than its header says \([1-4]\.\d of 6\.[01] s\)"
    assert re.fullmatch(told, str(last.reason))
