"""Damaged pictures are errors, and so are those that build on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures
from tests.helpers.clips import decode_all, moving_noise, write_clip
from tests.helpers.remux import Coded, damaged, remux, with_losses, without

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
