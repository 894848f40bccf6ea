"""What a file states about its pictures is read, and missing statements are none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures
from dfray.faces.properties import StreamProperties, transfer_name
from tests.helpers.clips import moving_noise, write_clip


def stated(path: Path) -> tuple[StreamProperties, StreamProperties]:
    """Properties of the header, and those at the end."""
    properties: list[StreamProperties] = []
    for _ in sampled_pictures(str(path), 1.0, on_stream=properties.append):
        pass
    before, after = properties
    return before, after


def test_all_properties_of_a_phones_clip(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "clip.mp4",
        moving_noise(30),
        codec="libx265",
        options={"x265-params": "log-level=none"},
        rotation=270,
        sample_aspect_ratio=Fraction(4, 3),
        color_trc=18,
    )
    before, after = stated(path)
    assert (before.interlacing, before.rotation_deg) == (None, None)
    assert after == StreamProperties(
        codec="hevc",
        width=128,
        height=96,
        fps=25.0,
        bit_rate=after.bit_rate,
        pixel_aspect=pytest.approx(4 / 3),
        transfer="arib-std-b67",
        interlacing="progressive",
        rotation_deg=90,
        duration_s=pytest.approx(1.2),
    )
    bits = 8 * sum(packet.size for packet in av.open(str(path)).demux(video=0))
    assert after.bit_rate == pytest.approx(bits / (30 / 25), rel=0.05)


def test_interlaced_footage_is_told(tmp_path: Path) -> None:
    options = {"x264-params": "tff=1"}
    path = write_clip(tmp_path / "clip.mp4", moving_noise(30), options=options)
    _, after = stated(path)
    assert after.interlacing == "interlaced"


def test_what_is_not_stated_is_none(tmp_path: Path) -> None:
    _, after = stated(write_clip(tmp_path / "raw.h264", moving_noise(30)))
    assert (after.transfer, after.bit_rate) == (None, None)
    assert after.pixel_aspect in (None, 1.0)
    assert after.codec == "h264"


@pytest.mark.parametrize(
    ("number", "name"), [(1, "bt709"), (16, "smpte2084"), (2, None), (0, None), (99, "99")]
)
def test_transfer_characteristics_without_a_name_keep_their_number(
    number: int, name: str | None
) -> None:
    assert transfer_name(number) == name


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_a_title_that_is_not_utf8_loses_no_picture(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "LATIN-1:Zz"
        stream = out.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in moving_noise(10, 64, 48):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image))))
        out.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"LATIN-1:Zz" in data
    path.write_bytes(data.replace(b"LATIN-1:Zz", b"LATIN-1:\xe9\xff"))
    images = [picture.image for picture in sampled_pictures(str(path), 1.0)]
    assert [image is not None for image in images] == [True, True]
