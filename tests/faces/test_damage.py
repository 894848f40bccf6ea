"""Damaged pictures are errors, and so are those that build on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures
from tests.helpers.clips import decode_all, moving_noise, write_clip
from tests.helpers.remux import Coded, Edit, damaged, remux, with_losses, without

FPS, GROUP = 25, 25
CLIPS: dict[str, dict[str, Any]] = {
    "h264.ts": {"options": {"g": "25", "bf": "2", "preset": "veryfast", "sc_threshold": "0"}},
    "hevc.ts": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=25:bframes=2:log-level=none", "preset": "ultrafast"},
    },
    "mpeg2.ts": {
        "codec": "mpeg2video",
        "options": {"g": "25", "bf": "2", "sc_threshold": "1000000000"},
    },
}


@pytest.fixture(scope="module")
def noise() -> list[np.ndarray]:
    return moving_noise(100, 160, 96)


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_after_lost_packets_no_torn_picture_is_handed_on(
    name: str, share: float, noise: list[np.ndarray], tmp_path: Path
) -> None:
    whole = write_clip(tmp_path / name, noise, **CLIPS[name])
    n_packets = whole.stat().st_size // 188
    lost = round(n_packets * share)
    lossy = with_losses(whole, tmp_path / f"lossy_{name}", [lost, lost + 1, lost + 2])
    reference = decode_all(whole)
    start_s = next(sampled_pictures(str(whole), 1.0)).time_s
    assert start_s == 0
    clean = 0
    for picture in sampled_pictures(str(lossy), FPS):
        if picture.image is None:
            assert picture.reason
            continue
        image = min(reference, key=lambda shown: abs(shown[0] - picture.time_s))[1]
        assert np.array_equal(picture.image, image)
        clean += 1
    assert 100 - 2 * GROUP <= clean < 100


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "mpeg4"])
def test_pictures_between_damage_and_the_next_clean_start_are_errors(
    codec: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    options = {"g": "25", "bf": "2"}
    whole = write_clip(tmp_path / "whole.mkv", noise, codec=codec, options=options)
    broken = remux(whole, tmp_path / "broken.mkv", damaged(31))
    reference = dict(enumerate(image for _, image in decode_all(whole)))
    pictures = list(sampled_pictures(str(broken), FPS))
    errors = [picture.frame_index for picture in pictures if picture.image is None]
    assert errors
    assert min(errors) > 25
    assert max(errors) < 55
    for picture in pictures:
        if picture.image is not None:
            assert np.array_equal(picture.image, reference[picture.frame_index])


@pytest.mark.parametrize(
    ("name", "codec"), [("broken.flv", "flv"), ("broken.avi", "msmpeg4"), ("broken.asf", "wmv2")]
)
def test_damage_ends_at_the_next_key_picture_in_codecs_whose_packets_are_not_read(
    name: str, codec: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    whole = write_clip(tmp_path / f"whole_{name}", noise, codec=codec, options={"g": "25"})
    broken = remux(whole, tmp_path / name, damaged(40))
    reference = [image for _, image in decode_all(whole)]
    pictures = list(sampled_pictures(str(broken), FPS))
    errors = [picture.frame_index for picture in pictures if picture.image is None]
    assert errors == list(range(40, 50))
    for picture in pictures:
        if picture.image is not None:
            assert np.array_equal(picture.image, reference[picture.frame_index])


def test_damage_does_not_end_where_the_container_flags_every_picture_as_a_key(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    def flagged(packets: list[Coded]) -> list[Coded]:
        return [replace(coded, is_key=True) for coded in damaged(40)(packets)]

    whole = write_clip(tmp_path / "whole.avi", noise, codec="msmpeg4", options={"g": "25"})
    broken = remux(whole, tmp_path / "broken.avi", flagged)
    errors = [p.frame_index for p in sampled_pictures(str(broken), FPS) if p.image is None]
    assert errors == list(range(40, 100))


HEVC_P = {"x265-params": "keyint=25:bframes=0:crf=15:log-level=none", "preset": "ultrafast"}
VP9 = {"codec": "libvpx-vp9", "options": {"g": "25", "deadline": "realtime", "cpu-used": "8"}}


def torn(path: Path, whole: Path) -> tuple[int, int]:
    """Return how many pictures are errors, and how many differ from those of the whole file."""
    reference = decode_all(whole)
    n_errors = n_torn = 0
    for picture in sampled_pictures(str(path), FPS):
        if picture.image is None:
            n_errors += 1
            continue
        shown = min(reference, key=lambda one: abs(one[0] - picture.time_s))[1]
        n_torn += not np.array_equal(picture.image, shown)
    return n_errors, n_torn


def flipped(place: int) -> Edit:
    def edit(packets: list[Coded]) -> list[Coded]:
        data = bytearray(packets[place].data)
        data[len(data) // 2] ^= 8
        packets[place].data = bytes(data)
        return packets

    return edit


def shortened(place: int) -> Edit:
    def edit(packets: list[Coded]) -> list[Coded]:
        packets[place].data = packets[place].data[: len(packets[place].data) // 2]
        return packets

    return edit


def emptied(place: int) -> Edit:
    """Return an edit that puts zeros in the place of the second half of a packet."""

    def edit(packets: list[Coded]) -> list[Coded]:
        data = packets[place].data
        packets[place].data = data[: len(data) // 2].ljust(len(data), b"\0")
        return packets

    return edit


@pytest.fixture(scope="module")
def vp9(noise: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("vp9") / "whole.webm", noise, **VP9)


@pytest.mark.parametrize("name", ["broken.webm", "broken.mp4"])
@pytest.mark.parametrize("edit", [damaged, flipped, shortened])
def test_damage_in_vp9_is_told(
    edit: Callable[[int], Edit], name: str, vp9: Path, tmp_path: Path
) -> None:
    """FFmpeg's own decoder hands on what it makes of it."""
    for place in (30, 37):
        n_errors, n_torn = torn(remux(vp9, tmp_path / f"{place}_{name}", edit(place)), vp9)
        assert n_torn == 0
        assert 0 < n_errors <= 50 - place


def test_pictures_that_are_missing_from_vp9_are_told_where_later_ones_cannot_be_read(
    vp9: Path, tmp_path: Path
) -> None:
    """Probabilities that change from picture to picture are wrong then; references alone tell nothing."""
    n_told = 0
    for place in range(26, 34):
        n_errors, n_torn = torn(remux(vp9, tmp_path / f"{place}.webm", without(place)), vp9)
        assert n_errors + n_torn == 50 - place - 1
        n_told += n_torn == 0
    assert n_told >= 4


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("broken.mp4", {"options": {"g": "25", "crf": "5"}}),
        ("broken.mkv", {"codec": "libx265", "options": HEVC_P}),
        ("broken.webm", VP9 | {"bit_rate": 3_000_000}),
    ],
)
def test_a_part_that_was_never_written_is_told(
    name: str, settings: dict[str, Any], noise: list[np.ndarray], tmp_path: Path
) -> None:
    """As in a download that lacks parts, whose places hold zeros."""
    whole = write_clip(tmp_path / f"whole_{name}", noise, **settings)
    for place in (28, 31, 34):
        n_errors, n_torn = torn(remux(whole, tmp_path / name, emptied(place)), whole)
        assert n_torn == 0
        assert 0 < n_errors <= GROUP


def test_a_part_of_a_picture_that_no_other_needs_costs_that_picture(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    options = {"g": "25", "crf": "5", "bf": "2", "b-pyramid": "none", "b_strategy": "0"}
    whole = write_clip(tmp_path / "whole.mp4", noise, options=options)
    errors = [
        torn(remux(whole, tmp_path / "broken.mp4", emptied(place)), whole) for place in (28, 29, 30)
    ]
    assert sorted(errors)[:2] == [(1, 0), (1, 0)]
    assert sorted(errors)[2] > (10, 0)


def test_zeros_are_no_damage_where_an_encoder_fills_up_with_them(
    vp9: Path, noise: list[np.ndarray], tmp_path: Path
) -> None:
    def filled(packets: list[Coded]) -> list[Coded]:
        return [replace(coded, data=coded.data + bytes(80)) for coded in packets]

    assert torn(remux(vp9, tmp_path / "filled.webm", filled), vp9) == (0, 0)
    vp8 = write_clip(tmp_path / "vp8.webm", noise, codec="libvpx", options=VP9["options"])
    assert torn(vp8, vp8) == (0, 0)


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        ("lossy.mkv", "mpeg2video", "0"),
        ("lossy.mkv", "mpeg2video", "2"),
        ("lossy.mp4", "mpeg1video", "2"),
        ("lossy.mkv", "mpeg4", "2"),
        ("lossy.mp4", "mpeg4", "2"),
    ],
)
def test_pictures_that_are_missing_from_mpeg_are_told(
    name: str, codec: str, b_frames: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    options = {"g": "25", "bf": b_frames, "sc_threshold": "1000000000"}
    whole = write_clip(tmp_path / f"whole_{name}", noise, codec=codec, options=options)
    for place in range(28, 31):
        lossy = remux(whole, tmp_path / f"{place}_{name}", without(place))
        n_errors, n_torn = torn(lossy, whole)
        assert n_torn == 0
        assert n_errors <= GROUP
    assert torn(whole, whole) == (0, 0)


@pytest.mark.parametrize("name", ["lossy.mkv", "lossy.mp4"])
def test_pictures_that_are_missing_from_h264_are_told_by_the_numbers_of_the_others(
    name: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    options = {"g": "25", "bf": "0", "preset": "veryfast", "sc_threshold": "0"}
    whole = write_clip(tmp_path / f"whole_{name}", noise, options=options)
    lossy = remux(whole, tmp_path / name, without(30, 31))
    reference = [image for _, image in decode_all(whole)]
    shown = {p.frame_index: p.image for p in sampled_pictures(str(lossy), FPS)}
    assert [k for k, image in shown.items() if image is None] == list(range(32, 50))
    for k in (0, 25, 29, 50, 99):
        assert np.array_equal(shown[k], reference[k])


def test_damaged_pictures_of_vp9_can_be_used_as_they_are_decoded(vp9: Path, tmp_path: Path) -> None:
    broken = remux(vp9, tmp_path / "broken.webm", flipped(30))
    used = list(sampled_pictures(str(broken), FPS, uses_damaged=True))
    assert all(picture.image is not None for picture in used)


def test_damaged_pictures_can_be_used_as_they_are_decoded(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    whole = write_clip(tmp_path / "h264.ts", noise, **CLIPS["h264.ts"])
    lost = whole.stat().st_size // 188 // 2
    lossy = with_losses(whole, tmp_path / "lossy.ts", range(lost, lost + 3))
    used = list(sampled_pictures(str(lossy), FPS, uses_damaged=True))
    errors = [p for p in sampled_pictures(str(lossy), FPS) if p.image is None]
    assert errors
    assert sum(p.image is None for p in used) < len(errors)
