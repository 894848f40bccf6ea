"""Containers of videos as FFmpeg may open them: formats that hold their own pictures and name no other file.

A file's name says nothing of its format. A text file that points to others (a playlist, a list to join, a
session description) would have FFmpeg open those, wherever they are; so formats and protocols are listed.
"""

from __future__ import annotations

from typing import BinaryIO

import av

from dfray import storage
from dfray.errors import DfrayError

FORMATS = (
    "mov", "matroska", "avi", "flv", "live_flv", "kux", "swf", "asf", "mpegts", "mpeg", "mpegvideo",
    "ogg", "mxf", "gxf", "dv", "wtv", "rm", "ivr", "dhav", "mjpeg", "mpjpeg", "smjpeg", "gif", "apng",
    "yuv4mpegpipe", "nut", "nuv", "nsv", "ivf", "h261", "h263", "h264", "hevc", "vvc", "evc", "vc1",
    "vc1test", "dirac", "av1", "obu", "dnxhd", "apv", "m4v", "cavsvideo", "avs2", "avs3", "pva", "ty",
    "lmlm4", "ingenient",
)  # fmt: skip
"""Demuxers of FFmpeg that may be tried: those of the suffixes of videos, and of recorders."""
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}


class ContainerError(DfrayError):
    """A file that is not opened as a video; the message says why."""


def open_container(file: str | BinaryIO) -> av.container.InputContainer:
    """Return the opened container; close it after use.

    Args:
        file: a local path, or an open file.

    Raises:
        ContainerError: it is no regular file, in no format of FORMATS, or damaged.
    """
    if isinstance(file, str) and (reason := storage.why_not_regular(file)):
        raise ContainerError(reason)
    try:
        return av.open(
            file, options=_OPTIONS, metadata_errors="replace"
        )  # a title need not be UTF-8
    except av.ArgumentError as error:  # what FFmpeg says of a format that is not listed
        raise ContainerError(
            "cannot be opened: it is in no format of videos that is read"
        ) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ContainerError(f"cannot be opened: {fault(error)}") from error


def duration_s(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float | None:
    """Return the duration that the header states, or that FFmpeg estimates; none if there is neither."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def fault(error: Exception) -> str:
    """Return what an error of FFmpeg says."""
    return getattr(error, "strerror", None) or str(error)
