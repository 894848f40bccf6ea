"""The decoder of a video is the one that tells most of damage."""

from __future__ import annotations

import contextlib
from pathlib import Path

import av
import numpy as np
import pytest

from dfray.faces.containers import open_video, packets
from dfray.faces.decode import sampled_pictures
from dfray.faces.packet_decoder import PacketDecoder
from tests.helpers.clips import decode_all, moving_noise, write_clip
from tests.helpers.ffmpeg import encode
from tests.helpers.remux import Coded, remux

VP9 = {"codec": "libvpx-vp9", "options": {"g": "10", "deadline": "realtime", "cpu-used": "8"}}


def decoder_of(path: Path, *, is_strict: bool = True) -> str:
    """Return the name of the decoder in use after all packets of a file."""
    with open_video(str(path)) as (container, stream):
        decoder = PacketDecoder(stream, is_strict)
        for packet in packets(container, stream, lambda: None):
            with contextlib.suppress(av.FFmpegError):
                decoder.decode(packet)
        assert decoder.context.thread_count == 1
        return decoder.context.name


def test_vp9_is_decoded_by_libvpx_and_other_codecs_by_ffmpeg(tmp_path: Path) -> None:
    vp9 = write_clip(tmp_path / "vp9.webm", moving_noise(5), **VP9)
    assert decoder_of(vp9) == "libvpx-vp9"
    assert decoder_of(vp9, is_strict=False) == "vp9"
    assert decoder_of(write_clip(tmp_path / "h264.mp4", moving_noise(5))) == "h264"


def test_a_turn_that_the_container_states_is_kept(tmp_path: Path) -> None:
    """Only FFmpeg's own decoder is told of it."""
    pictures = moving_noise(5, width=128, height=96)
    path = write_clip(tmp_path / "clip.mp4", pictures, rotation=90, **VP9)
    assert decoder_of(path) == "vp9"
    (picture,) = sampled_pictures(str(path), 1.0)
    assert picture.image is not None
    assert np.array_equal(picture.image, np.rot90(decode_all(path)[0][1]))


def test_vp9_of_ten_bits_is_decoded(tmp_path: Path) -> None:
    arguments = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p10le -g 10"
    path = tmp_path / "deep.webm"
    encode(path, moving_noise(12, 160, 96), "25", arguments.split())
    assert decoder_of(path) == "vp9"
    pictures = list(sampled_pictures(str(path), 25))
    assert len(pictures) == 12
    assert all(picture.image is not None for picture in pictures)


@pytest.mark.parametrize(("n_damaged", "name"), [(1, "libvpx-vp9"), (20, "vp9")])
def test_libvpx_begins_at_the_first_key_picture_that_ffmpeg_decodes(
    n_damaged: int, name: str, tmp_path: Path
) -> None:
    def without_marker(packets: list[Coded]) -> list[Coded]:
        for coded in packets[:n_damaged]:
            coded.data = bytes([coded.data[0] ^ 0xC0]) + coded.data[1:]
        return packets

    whole = write_clip(tmp_path / "whole.webm", moving_noise(20), **VP9)
    assert decoder_of(remux(whole, tmp_path / "broken.webm", without_marker)) == name
