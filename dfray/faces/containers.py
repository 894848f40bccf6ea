"""Video files as FFmpeg opens them: the video stream, its packets, and where a file was cut off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import av

from dfray.datasets.container import ContainerError, open_container
from dfray.datasets.container import fault as fault
from dfray.faces.sources import UnreadableSourceError, require_size

_BEFORE_ALL = -(2**60)
"""A timestamp before any other, in ticks."""
_STATE_DURATION = frozenset({"matroska", "webm", "flv", "avi", "mp4", "mov", "asf"})
"""Formats whose header states the duration; of others FFmpeg estimates it from what is there."""
_TOLERANCE_S = 0.5
"""Seconds by which a whole file may be shorter than its header says."""


@contextlib.contextmanager
def open_video(
    path: str,
) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """Yield the container of a local file and its best video stream; cover pictures are no video.

    Raises:
        UnreadableSourceError: nothing in the file can be decoded as video.
    """
    try:
        container = open_container(path)
    except ContainerError as error:
        raise UnreadableSourceError(error.message) from error
    with container:
        yield container, _best_stream(container)


def _best_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    cover = av.stream.Disposition.attached_pic
    videos = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not videos:
        raise UnreadableSourceError("has no video stream")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    if stream.codec_context is None:
        raise UnreadableSourceError("is in a codec for which there is no decoder here")
    require_size(stream.codec_context.width, stream.codec_context.height)
    return stream


def packets(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    on_packet: Callable[[], None],
) -> Iterator[av.Packet]:
    """Yield the packets of the stream, also those of pictures that are not shown.

    Raises:
        FFmpegError: the file breaks off.
    """
    for packet in container.demux(stream):
        on_packet()
        if packet.size:
            yield packet


def is_rewound(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> bool:
    """Go back to the first packet, in formats whose index makes that exact; opening costs more."""
    if "mp4" not in container.format.name:
        return False
    container.seek(_BEFORE_ALL, stream=stream)
    return True


def lacks_its_end(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> bool:
    """Return True if the container has an index that lists data beyond the end of the file."""
    index = stream.index_entries
    return bool(len(index)) and index[-1].pos + index[-1].size > container.size


def stated_duration_s(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float | None:
    """Return the duration that the header states, in seconds; none if it states none."""
    formats = set(container.format.name.split(","))
    if container.duration is None or formats.isdisjoint(_STATE_DURATION):
        return None
    if "mp4" in formats and stream.frames:  # its index tells more: lacks_its_end
        return None
    if "avi" in formats and stream.frames and stream.average_rate:
        return float(
            stream.frames / stream.average_rate
        )  # FFmpeg shortens the duration of a cut file
    return float(container.duration / av.time_base)


def shortfall(
    path: str, stated_s: float | None, reached_s: float, on_packet: Callable[[], None]
) -> str | None:
    """Return a sentence if the file holds less than its header states; none if it does not.

    Args:
        stated_s: of `stated_duration_s`.
        reached_s: end of the last picture, from the beginning of the file.
        on_packet: called for every packet read.
    """
    if stated_s is None or stated_s - reached_s <= _TOLERANCE_S:
        return None
    reached_s = max(reached_s, _end_of_all_streams_s(path, on_packet))
    if stated_s - reached_s <= _TOLERANCE_S:
        return None
    return f"the file is shorter than its header says ({reached_s:.1f} of {stated_s:.1f} s)"


def _end_of_all_streams_s(path: str, on_packet: Callable[[], None]) -> float:
    """Return where the last packet of any stream ends: sound may go on after the pictures."""
    end_s = 0.0
    with contextlib.suppress(av.FFmpegError), open_video(path) as (container, _):
        for packet in container.demux():
            on_packet()
            if packet.pts is not None:
                end = packet.pts + (packet.duration or 0)
                end_s = max(end_s, float(end * packet.time_base))
    return end_s
