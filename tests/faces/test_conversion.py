"""A decoded frame becomes the 8-bit RGB picture that a player shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures
from dfray.faces.properties import StreamProperties
from tests.helpers.clips import moving_noise, write_clip
from tests.helpers.ffmpeg import run_ffmpeg


def images(path: Path, rate_fps: float = 1.0) -> list[np.ndarray]:
    found = sampled_pictures(str(path), rate_fps)
    return [image for picture in found if (image := picture.image) is not None]


COLOURS = np.array([[200, 60, 30], [20, 120, 240], [255, 255, 255], [0, 0, 0]], np.uint8)
LUMA = (COLOURS @ np.array([0.299, 0.587, 0.114])).round()
LIMITED, FULL = 1, 2
BT709, BT601 = 1, 5


def write_patches(path: Path, codec: str, pix_fmt: str, span: int, space: int) -> Path:
    """Three pictures of COLOURS side by side, 32 px each, converted and tagged as asked."""
    patches = np.repeat(np.repeat(COLOURS[None], 64, axis=0), 32, axis=1)
    converter = av.video.reformatter.VideoReformatter()
    with av.open(str(path), "w") as out:
        lossless = {"libx264": {"crf": "1"}}.get(codec, {})
        stream = out.add_stream(codec, rate=5, options=lossless)
        stream.height, stream.width, stream.pix_fmt = 64, 128, pix_fmt
        stream.codec_context.color_range, stream.codec_context.colorspace = span, space
        for i in range(3):
            frame = converter.reformat(
                av.VideoFrame.from_ndarray(patches, format="rgb24"),
                format=pix_fmt,
                dst_color_range=span,
                dst_colorspace=space,
            )
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "span", "space"),
    [
        ("limited.mp4", "libx264", "yuv444p", LIMITED, BT601),
        ("full.mp4", "libx264", "yuvj444p", FULL, BT601),
        ("full.mkv", "ffv1", "yuv444p", FULL, BT601),
        ("hd.mp4", "libx264", "yuv444p", LIMITED, BT709),
        ("ten_bits.mp4", "libx264", "yuv444p10le", LIMITED, BT601),
        ("subsampled.mkv", "ffv1", "yuv420p10le", LIMITED, BT601),
        ("alpha.mov", "qtrle", "argb", FULL, 0),
    ],
)
def test_colours_are_right_whatever_the_pixel_format(
    name: str, codec: str, pix_fmt: str, span: int, space: int, tmp_path: Path
) -> None:
    path = write_patches(tmp_path / name, codec, pix_fmt, span, space)
    (image,) = images(path)
    assert (image.dtype, image.shape) == (np.uint8, (64, 128, 3))
    assert np.abs(image[32, 16::32].astype(int) - COLOURS).max() <= 4


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le"])
def test_grey_pictures_come_as_grey_rgb_at_their_full_range(pix_fmt: str, tmp_path: Path) -> None:
    (image,) = images(write_patches(tmp_path / "grey.mkv", "ffv1", pix_fmt, FULL, BT601))
    assert (image == image[..., :1]).all()
    assert np.abs(image[32, 16::32, 0].astype(int) - LUMA).max() <= 4


def picture_of(path: Path, coded: np.ndarray, aspect: Fraction, **settings: Any) -> np.ndarray:
    settings = {"options": {"crf": "1"}, "sample_aspect_ratio": aspect} | settings
    (image,) = images(write_clip(path, [coded] * 5, **settings))
    return image


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.mov"])
@pytest.mark.parametrize(
    ("aspect", "size"),
    [("2", (96, 256)), ("1/2", (192, 128)), ("16/15", (96, 137)), ("1", (96, 128))],
)
def test_pixels_are_square(name: str, aspect: str, size: tuple[int, int], tmp_path: Path) -> None:
    """A picture is enlarged along one axis, never shrunk: no detail is lost."""
    coded = moving_noise(1)[0]
    image = picture_of(tmp_path / name, coded, Fraction(aspect))
    assert image.shape[:2] == size
    expected = cv2.resize(coded, size[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(image.astype(int) - expected).mean() < 5


@pytest.mark.parametrize(
    ("coded_aspect", "codec", "name"),
    [
        ("1", "libx264", "clip.mp4"),
        ("2", "libx264", "clip.mkv"),
        ("1", "libx265", "clip.mkv"),
        ("2", "libx265", "clip.mov"),
        ("1", "mpeg4", "clip.mov"),
        ("2", "mpeg4", "clip.mp4"),
    ],
)
def test_the_pixel_aspect_of_the_container_goes_before_the_codecs(
    coded_aspect: str, codec: str, name: str, tmp_path: Path
) -> None:
    """As in any player, for files whose aspect was corrected without encoding them again."""
    aspect, options = Fraction(coded_aspect), {"x265-params": "log-level=none"}
    coded = tmp_path / "coded.mp4"
    options = options if codec == "libx265" else {}
    write_clip(coded, moving_noise(5), codec=codec, options=options, sample_aspect_ratio=aspect)
    path = tmp_path / name
    run_ffmpeg("-i", coded, "-c", "copy", "-aspect", "16:9", path)  # pixels of 4:3
    properties: list[StreamProperties] = []
    (picture,) = sampled_pictures(str(path), 1.0, on_stream=properties.append)
    assert picture.image is not None
    assert picture.image.shape[:2] == (96, 171)
    assert [stream.pixel_aspect for stream in properties] == [pytest.approx(4 / 3)] * 2


@pytest.mark.parametrize("aspect", ["9", "1/9", "65535", "1/30000"])
def test_an_absurd_pixel_aspect_is_taken_as_square(aspect: str, tmp_path: Path) -> None:
    image = picture_of(tmp_path / "clip.mkv", moving_noise(1)[0], Fraction(aspect))
    assert image.shape == (96, 128, 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_the_coded_width_is_enlarged_before_the_picture_is_turned(
    degrees: int, tmp_path: Path
) -> None:
    upright = moving_noise(1, width=96, height=256)[0]
    coded = np.rot90(upright, -degrees // 90)[:, ::2]
    path = tmp_path / "clip.mp4"
    image = picture_of(path, coded, Fraction(2), rotation=degrees)
    turned = np.rot90(cv2.resize(coded, None, fx=2, fy=1), degrees // 90)
    assert image.shape == turned.shape
    assert np.abs(image.astype(int) - turned).mean() < 5


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray12le"])
def test_limited_range_without_colour_is_expanded(pix_fmt: str, tmp_path: Path) -> None:
    bits = 8 if pix_fmt == "gray" else int(pix_fmt[4:6])
    levels = np.array([16, 60, 126, 200, 235])
    codes = np.repeat(levels << (bits - 8), 16)[None].repeat(64, axis=0)
    path = tmp_path / "grey.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=5)
        stream.height, stream.width, stream.pix_fmt = 64, codes.shape[1], pix_fmt
        stream.codec_context.color_range = LIMITED
        pixels = codes.astype(np.uint8 if bits == 8 else np.uint16)
        frame = av.VideoFrame.from_ndarray(pixels, format=pix_fmt)
        frame.color_range = LIMITED
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    (image,) = images(path)
    assert (image == image[..., :1]).all()
    expected = (levels - 16) * 255 / 219
    assert np.abs(image[32, 8::16, 0] - expected).max() <= 3


def test_interlaced_lines_stay_as_they_are_coded(tmp_path: Path) -> None:
    """Fields of two moments, as a camera of 50 fields a second takes them."""
    frame, later = moving_noise(20)[0], moving_noise(20)[19]
    frame = frame.copy()
    frame[1::2] = later[1::2]
    options = {"crf": "1", "x264-params": "tff=1"}
    (image,) = images(write_clip(tmp_path / "clip.mp4", [frame] * 5, options=options))
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs((image - frame.astype(int)) @ luma).mean() < 3


def test_the_pixel_aspect_may_change_in_mid_stream(tmp_path: Path) -> None:
    """As in broadcasts, between programmes and advertisements."""
    parts = []
    for number, aspect in enumerate((Fraction(1), Fraction(4, 3))):
        path = tmp_path / f"{number}.ts"
        write_clip(path, moving_noise(50), options={"bf": "0"}, sample_aspect_ratio=aspect)
        parts.append(path)
    shifted = tmp_path / "shifted.ts"
    with av.open(str(parts[1])) as source, av.open(str(shifted), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts += 180_000
                packet.dts += 180_000
                packet.stream = stream
                out.mux(packet)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(parts[0].read_bytes() + shifted.read_bytes())
    assert [image.shape[1] for image in images(joined)] == [128, 128, 171, 171]
    resumed = sampled_pictures(str(joined), 1.0, first_frame=2)
    assert [picture.image.shape[1] for picture in resumed if picture.image is not None] == [171] * 2
