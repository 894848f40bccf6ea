"""Conversion of decoded video frames to upright 8-bit RGB with square pixels: the only one of videos.

Range and depth are those that the frame states; transfer, primaries and matrix too, or else those that the
header states. PQ, HLG and wide primaries become BT.709 SDR (`dfray.faces.colour`). The lines of an interlaced
frame stay as they are coded.
"""

from __future__ import annotations

from dataclasses import replace

import av
import av.video.reformatter
import cv2
import numpy as np

from dfray.faces.colour import BITS, SdrConverter, is_converted
from dfray.faces.orientation import Axes, clockwise_deg, display_axes, upright
from dfray.faces.properties import UNSTATED, StreamProperties, header_properties, transfer_name

MAX_PIXEL_ASPECT = 4.0
"""Pixels that claim to be more times as wide as high, or as high as wide, are taken as square."""

_HDR_FORMAT = "gbrp12le"
"""Pixel format of `colour.BITS` bits, to which FFmpeg interpolates subsampled chroma."""
_COLOUR_DESCRIPTION = ("color_trc", "color_primaries", "colorspace")
"""Attributes of frames and of codec contexts: transfer, primaries and matrix, as ITU-T H.273 numbers them."""
_LIMITED, _FULL = 1, 2
"""Ranges of values (AVColorRange)."""


class PictureConverter:
    """Converter of the frames of one video, which share what is prepared for them.

    Args:
        container, stream: as they are opened: decoding overwrites what the container states of the stream.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> None:
        self._header = header_properties(container, stream)
        self._context = stream.codec_context
        self._coded_aspect = self._context.sample_aspect_ratio
        self._aspect = self._header_aspect = float(stream.sample_aspect_ratio or 1)
        numbers = {name: getattr(self._context, name) for name in _COLOUR_DESCRIPTION}
        self._colour = {name: n for name, n in numbers.items() if n not in UNSTATED}
        self._transfer = self._context.color_trc
        self._scans: set[str] = set()
        self._axes: dict[int, Axes] = {}
        self._turn_deg: int | None = None
        self._sdr: dict[tuple[int, int, int], SdrConverter] = {}
        self._reformatter = av.video.reformatter.VideoReformatter()

    @property
    def properties(self) -> StreamProperties:
        """The properties of the stream, as its header and the frames converted so far state them."""
        scans = self._scans
        return replace(
            self._header,
            pixel_aspect=self._aspect,
            transfer=transfer_name(self._transfer),
            interlacing="mixed" if len(scans) > 1 else next(iter(scans), None),
            rotation_deg=self._turn_deg,
        )

    def picture(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the upright picture with square pixels, uint8 (height, width, 3) RGB."""
        axes = self._axes_of(frame)
        self._complete(frame)
        self._transfer = frame.color_trc
        self._scans.add("interlaced" if frame.interlaced_frame else "progressive")
        self._turn_deg = clockwise_deg(axes)
        self._aspect = self._aspect_now()
        return upright(_with_square_pixels(self._rgb(frame), self._aspect), axes)

    def _aspect_now(self) -> float:
        """Return the header's pixel aspect, or the codec's where it changed, as broadcasts do in mid-stream.

        It depends on no earlier frame, so that a decode that is resumed gives the same pictures.
        """
        coded_aspect = self._context.sample_aspect_ratio
        if coded_aspect == self._coded_aspect:
            return self._header_aspect
        return float(coded_aspect or 1)

    def _complete(self, frame: av.VideoFrame) -> None:
        """Put what the header states in the place of what the frame does not.

        Frames of HEVC state what their bitstream does: FFmpeg's decoder drops what the container states.
        """
        for name, number in self._colour.items():
            if getattr(frame, name) in UNSTATED:
                setattr(frame, name, number)

    def _axes_of(self, frame: av.VideoFrame) -> Axes:
        if frame.rotation not in self._axes:
            # Once only: asking a frame for its side data keeps it in memory, in a cycle.
            self._axes[frame.rotation] = display_axes(frame)
        return self._axes[frame.rotation]

    def _rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the coded picture as uint8 (height, width, 3) RGB."""
        if frame.format.name.startswith("gray") and frame.color_range == _LIMITED:
            frame = _luma_only(frame)
        is_xyz = frame.format.name.startswith("xyz")  # which FFmpeg converts, and by itself alone
        if is_xyz or not is_converted(frame.color_trc, frame.color_primaries):
            return self._planes(frame, "rgb24")
        key = frame.color_trc, frame.color_primaries, _white_code(frame)
        if key not in self._sdr:
            self._sdr[key] = SdrConverter(*key)
        return self._sdr[key].picture(self._planes(frame, _HDR_FORMAT))

    def _planes(self, frame: av.VideoFrame, pixel_format: str) -> np.ndarray:
        converted = self._reformatter.reformat(frame, format=pixel_format, threads=1)
        return np.asarray(converted.to_ndarray())


def _luma_only(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a grey frame of limited range as the luma of a colour frame: FFmpeg takes all grey for full."""
    bits = frame.format.components[0].bits
    pixel_format = "yuv420p" if bits == 8 else f"yuv420p{bits}le"
    luma = frame.reformat(format=pixel_format, dst_color_range=_FULL, threads=1)
    luma.color_range = _LIMITED
    return luma


def _white_code(frame: av.VideoFrame) -> int:
    """Return the code that FFmpeg gives to white; for limited range the 255 of 8 bits, moved up."""
    is_full = frame.format.is_rgb or frame.color_range == _FULL or "yuvj" in frame.format.name
    bits = min(int(frame.format.components[0].bits), BITS) if is_full else 8
    return ((1 << bits) - 1) << (BITS - bits)


def _with_square_pixels(image: np.ndarray, aspect: float) -> np.ndarray:
    """Return `image` enlarged along one axis, as its pixels are `aspect` times as wide as high."""
    if aspect == 1 or not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT:
        return image
    height, width = image.shape[:2]
    size = (round(width * max(aspect, 1)), round(height / min(aspect, 1)))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
