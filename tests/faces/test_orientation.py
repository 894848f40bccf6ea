"""Pictures come upright, and side data that nobody needs costs nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures
from tests.helpers.clips import moving_noise, write_clip


def images(path: Path) -> list[np.ndarray]:
    found = sampled_pictures(str(path), 1.0)
    return [image for picture in found if (image := picture.image) is not None]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_picture_comes_upright(degrees: int, tmp_path: Path) -> None:
    upright = moving_noise(1, width=96, height=128)[0]
    coded = np.rot90(upright, -degrees // 90)  # the matrix turns it back, anticlockwise
    path = write_clip(tmp_path / "clip.mp4", [coded] * 5, rotation=degrees, options={"crf": "1"})
    (found,) = images(path)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 5


TURNED = {
    1: lambda upright: upright,
    2: np.fliplr,
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
}
"""Orientation tag of EXIF (CIPA DC-008, 4.6.4) -> the coded picture of an upright one."""


def write_exif_clip(path: Path, picture: np.ndarray, orientation: int) -> Path:
    """Motion JPEG of five pictures, each with an EXIF segment that states its orientation."""
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + tag + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=5, options={"q:v": "2"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuvj444p"
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = i
            for packet in stream.encode(frame):
                jpeg = bytes(packet)
                tagged = av.Packet(jpeg[:2] + segment + jpeg[2:])
                tagged.pts = tagged.dts = i
                tagged.time_base, tagged.stream = packet.time_base, stream
                tagged.is_keyframe = True
                out.mux(tagged)
    return path


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_for_which_pyav_has_no_name_loses_no_frame_and_turns_it(
    orientation: int, tmp_path: Path
) -> None:
    noise = moving_noise(1, width=96, height=128)[0]
    path = write_exif_clip(tmp_path / "clip.avi", TURNED[orientation](noise), orientation)
    (found,) = images(path)
    assert found.shape == noise.shape
    assert np.abs(found.astype(int) - noise).mean() < 5
