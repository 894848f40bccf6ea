"""One encoder: the same bytes for the same frames, the same sizes for any frames."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from dfray.demo.encode import add_grain, write_clip


def film_of(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    flat = np.full((12, 128, 128, 3), 120, np.uint8)
    return {
        "flat": flat,
        "grainy": add_grain(flat, rng, 4.0),
        "noise": rng.integers(0, 256, flat.shape, np.uint8),
    }[kind]


def packet_sizes(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [packet.size for packet in container.demux(video=0) if packet.size]


def test_every_clip_has_the_same_packets_whatever_it_shows(tmp_path: Path) -> None:
    sizes = {}
    for kind in ("flat", "grainy", "noise"):
        write_clip(str(tmp_path / f"{kind}.mp4"), film_of(kind), fps=10)
        sizes[kind] = packet_sizes(tmp_path / f"{kind}.mp4")
    assert len(sizes["grainy"]) == 12
    assert sizes["flat"] == sizes["grainy"]
    assert sum(sizes["noise"]) == pytest.approx(sum(sizes["flat"]), rel=0.1)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(str(tmp_path / name), film_of("grainy"), fps=10)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_clip_is_h264_and_close_to_its_frames(tmp_path: Path) -> None:
    frames = np.zeros((12, 128, 128, 3), np.uint8)
    frames[:, :, 64:] = (200, 60, 40)
    write_clip(str(tmp_path / "clip.mp4"), frames, fps=10)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 10)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 12
    assert np.abs(np.array(decoded, float) - frames).mean() < 6
