"""A decoded frame becomes the 8-bit RGB picture that a player shows."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures


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
