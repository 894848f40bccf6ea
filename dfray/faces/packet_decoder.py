"""Decoder of a video's packets: FFmpeg's own, but for VP9 that of libvpx, as far as it can.

Data of VP9 carry no checksum. libvpx refuses a packet whose last tile does not end where its data do, which
tells of nearly all damage, and of many lost packets, as later ones are then read with wrong probabilities.
FFmpeg's decoder hands on what it makes of them. The pictures of sound packets are the same, and so is the CPU
time of one thread.
"""

from __future__ import annotations

from typing import cast

import av
from av.video.codeccontext import VideoCodecContext

from dfray.faces.orientation import UPRIGHT, display_axes

_LIBVPX = "libvpx-vp9"
_LIBVPX_BITS = 8
"""Depth above which the libvpx of PyAV's wheels decodes nothing."""


class PacketDecoder:
    """Decoder of the packets of one stream, with one thread.

    Args:
        is_strict: it refuses damaged packets as far as it can, and need not mark key pictures.

    Attributes:
        context: that of the decoder in use.
    """

    def __init__(self, stream: av.video.stream.VideoStream, is_strict: bool) -> None:
        self.context = stream.codec_context
        self.context.thread_count = 1
        is_vp9 = stream.codec.canonical_name == "vp9"
        self._tries_libvpx = is_vp9 and is_strict and _LIBVPX in av.codecs_available

    def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        """Return the frames that the decoder gives out with this packet; none: all that are left.

        Raises:
            FFmpegError: the packet cannot be decoded.
        """
        frames: list[av.VideoFrame] = self.context.decode(packet)
        if self._tries_libvpx and packet is not None and packet.is_keyframe and frames:
            self._tries_libvpx = False
            if _suits_libvpx(frames[0]):
                self.context = cast(VideoCodecContext, av.CodecContext.create(_LIBVPX, "r"))
                self.context.thread_count = 1
                frames = self.context.decode(packet)
        return frames


def _suits_libvpx(frame: av.VideoFrame) -> bool:
    """Return True if no turn is stated, of which FFmpeg tells its own decoder alone, and bits are few."""
    return frame.format.components[0].bits <= _LIBVPX_BITS and display_axes(frame) == UPRIGHT
