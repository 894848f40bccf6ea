"""Decoder of a video: FFmpeg's own, but for VP9 that of libvpx, as far as it can.

Data of VP9 carry no checksum. libvpx refuses a packet whose last tile does not end where its data do, which
tells of nearly all damage, and of many lost packets, as later ones are then read with wrong probabilities.
FFmpeg's decoder hands on what it makes of them. The pictures of sound packets are the same, and so is the CPU
time of one thread.
"""

from __future__ import annotations

from typing import cast

import av

from dfray.faces.containers import open_video
from dfray.faces.orientation import UPRIGHT, display_axes

_LIBVPX = "libvpx-vp9"
_LIBVPX_BITS = 8
"""Depth above which the libvpx of PyAV's wheels decodes nothing."""


def decoder(
    path: str, stream: av.video.stream.VideoStream, is_strict: bool
) -> av.video.codeccontext.VideoCodecContext:
    """Return the decoder of the stream's packets, with one thread.

    Args:
        path: the file of the stream.
        is_strict: it refuses damaged packets as far as it can, and need not mark key pictures.
    """
    context = stream.codec_context
    is_vp9 = stream.codec.canonical_name == "vp9" and _LIBVPX in av.codecs_available
    if is_vp9 and is_strict and _is_upright_and_shallow(path):
        created = av.CodecContext.create(_LIBVPX, "r")
        context = cast(av.video.codeccontext.VideoCodecContext, created)
    context.thread_count = 1
    return context


def _is_upright_and_shallow(path: str) -> bool:
    """Return True if the first picture states no turn and has few bits enough for libvpx.

    FFmpeg tells of a turn in the frames of its own decoder alone.
    """
    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = 1
        try:
            frame = next(container.decode(stream), None)
        except av.FFmpegError:
            return False
        if frame is None or frame.format.components[0].bits > _LIBVPX_BITS:
            return False
        return display_axes(frame) == UPRIGHT
