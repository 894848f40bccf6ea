"""Exact decoding of the sampled pictures of a video file, and of as little else as possible.

A file is read twice: once without decoding, for the timestamps, which say what is sampled; then to
decode. Pictures that no other picture needs are skipped unless they are due (`skip_frame`), which
leaves every decoded pixel as it is in a full decode and saves a third of the work or more. One
thread each: the parallelism is over videos. Pictures are handed on as they are decoded; of a long
video only the timestamps are kept. A picture that the decoder itself calls damaged is an error; what it
makes of those that follow is taken as it comes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import numpy as np

from dfray.faces.conversion import PictureConverter
from dfray.faces.properties import OnStream, header_properties
from dfray.faces.sampling import Timeline, sample_ticks, timeline
from dfray.faces.sources import UnreadableSourceError, require_size

EXACT_SKIPPING = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4"})
"""Codecs in which a picture marked as no reference is needed by no other picture at all."""


_BEFORE_ALL = -(2**60)
"""A timestamp before any other, in ticks."""


@dataclass(frozen=True)
class Picture:
    """A sampled picture, or the reason why there is none.

    Attributes:
        frame_index: k of the sample, due at t0 + k / rate.
        time_s: presentation time of the picture from t0, in seconds; none if not known.
        image: uint8 (height, width, 3) RGB, upright, pixels as coded; the same array for the
            samples of a still picture; none if it could not be decoded.
        reason: why there is no image.
    """

    frame_index: int
    time_s: float | None
    image: np.ndarray | None
    reason: str | None = None


def sampled_pictures(
    path: str,
    rate_fps: float,
    first_frame: int = 0,
    on_packet: Callable[[], None] = lambda: None,
    on_stream: OnStream = lambda _: None,
) -> Iterator[Picture]:
    """Yield the pictures on screen at t0 + k / rate_fps, for k >= `first_frame`, in order.

    Args:
        path: a local file; its best video stream is taken, cover pictures are no video.
        on_packet: called for every packet read, as a sign of life.
        on_stream: called with what the header states, and again with what the frames do, at the end.

    Raises:
        UnreadableSourceError: nothing in the file can be decoded as video.
    """
    with contextlib.ExitStack() as stack:
        container, stream = stack.enter_context(_open(path))
        on_stream(header_properties(container, stream))
        times, broken_off = _read_timeline(container, stream, on_packet)
        ticks = sample_ticks(times, rate_fps)
        if not _is_rewound(container, stream):
            container, stream = stack.enter_context(_open(path))
        decoded = _Decoded(container, stream, times, set(ticks[first_frame:].tolist()))
        frames = decoded.frames(on_packet)
        frame = next(frames, None)
        image: np.ndarray | None = None
        previous = None
        for k in range(first_frame, len(ticks)):
            tick = int(ticks[k])
            while frame is not None and frame[0] < tick:
                frame = next(frames, None)
            if frame is None or frame[0] > tick:
                yield Picture(k, times.seconds(tick), None, decoded.why_missing(tick))
                continue
            if tick != previous:
                image, previous = decoded.image(tick, frame[1]), tick
            reason = decoded.why_missing(tick) if image is None else None
            yield Picture(k, times.seconds(tick), image, reason)
        on_stream(decoded.converter.properties)
    if broken_off and first_frame <= len(ticks):
        yield Picture(len(ticks), None, None, broken_off)


@contextlib.contextmanager
def _open(path: str) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """Yield the container and its best video stream."""
    try:
        # A playlist under a video's name must not reach for the network.
        # A title need not be UTF-8.
        container = av.open(path, options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise UnreadableSourceError(f"cannot be opened: {_message(error)}") from error
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


def _packets(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    on_packet: Callable[[], None],
) -> Iterator[av.Packet]:
    """Yield the packets of shown pictures and of those that the decoder needs for them."""
    for packet in container.demux(stream):
        on_packet()
        if packet.size:
            yield packet


def _is_shown(packet: av.Packet, codec: str) -> bool:
    """Return True if the packet's picture is shown: not cut away by an edit list, not hidden."""
    is_hidden = codec == "vp8" and not memoryview(packet)[0] & 0x10  # RFC 6386, section 9.1
    return not packet.is_discard and not is_hidden


def _is_rewound(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> bool:
    """Go back to the first packet, in formats whose index makes that exact; opening costs more."""
    if "mp4" not in container.format.name:
        return False
    container.seek(_BEFORE_ALL, stream=stream)
    return True


def _read_timeline(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    on_packet: Callable[[], None],
) -> tuple[Timeline, str | None]:
    """Return the timeline, and why the file ends early, if it does."""
    timestamps: list[int | None] = []
    codec = stream.codec.name
    broken_off = "the file is cut off" if _lacks_its_end(container, stream) else None
    # AVI keeps no presentation times, and for reordering codecs they are guessed wrongly.
    is_guessed = container.format.name == "avi" and codec in ("h264", "hevc")
    try:
        timestamps.extend(
            None if is_guessed else packet.pts
            for packet in _packets(container, stream, on_packet)
            if _is_shown(packet, codec)
        )
    except av.FFmpegError as error:
        broken_off = f"the file breaks off: {_message(error)}"
    if not timestamps:
        raise UnreadableSourceError(broken_off or "has no pictures")
    return timeline(timestamps, stream.time_base, stream.average_rate), broken_off


def _lacks_its_end(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> bool:
    """Return True if the container has an index that lists data beyond the end of the file."""
    index = stream.index_entries
    return bool(len(index)) and index[-1].pos + index[-1].size > container.size


class _Decoded:
    """The frames of one video, decoded in full where they are sampled."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        times: Timeline,
        sampled: set[int],
    ) -> None:
        self._container, self._stream = container, stream
        self._times, self._sampled = times, sampled
        self._skips = stream.codec.name in EXACT_SKIPPING and not times.is_counted
        self._faults: dict[int | None, str] = {}
        self.converter = PictureConverter(container, stream)

    def frames(self, on_packet: Callable[[], None]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield (tick, frame) in presentation order; some that are not sampled are left out."""
        self._stream.codec_context.thread_count = 1
        for number, frame in enumerate(self._frames(on_packet)):
            tick = number if self._times.is_counted else frame.pts
            if tick is not None:
                yield tick, frame

    def image(self, tick: int, frame: av.VideoFrame) -> np.ndarray | None:
        """Return the upright picture in RGB; none if the decoder had to guess parts of it."""
        if frame.is_corrupt:
            self._faults[tick] = "the picture is damaged"
            return None
        return self.converter.picture(frame)

    def why_missing(self, tick: int) -> str:
        return self._faults.get(tick, "the decoder gave no picture")

    def _frames(self, on_packet: Callable[[], None]) -> Iterator[av.VideoFrame]:
        context = self._stream.codec_context
        with contextlib.suppress(av.FFmpegError):  # the end that _read_timeline has seen
            for packet in _packets(self._container, self._stream, on_packet):
                if self._skips:
                    is_due = packet.pts in self._sampled
                    context.skip_frame = "DEFAULT" if is_due else "NONREF"
                yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        frames: list[av.VideoFrame] = []
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            if packet is not None:
                self._faults[packet.pts] = f"cannot be decoded: {_message(error)}"
        return frames


def _message(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
