"""Decoded frames of the pictures that are due, and of as few others as possible."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import av
import numpy as np

from dfray.faces.containers import fault, packets
from dfray.faces.damage import DAMAGED, TORN, Damage
from dfray.faces.decoding_plan import plan_decoding
from dfray.faces.packet_decoder import PacketDecoder
from dfray.faces.video_index import VideoIndex

EXACT_SKIPPING = frozenset({"av1", "mpeg1video", "mpeg2video", "mpeg4"})
"""Codecs whose decoders leave out a picture that no other needs; of others the packets tell it."""


class DueFrames:
    """The frames of the due pictures of one video, in presentation order.

    Args:
        pictures: those that are due, numbered in presentation order.
        uses_damaged: damaged pictures are yielded like others, as far as the decoder gives them out.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        index: VideoIndex,
        pictures: Sequence[int],
        uses_damaged: bool = False,
    ) -> None:
        self._container, self._stream, self._index = container, stream, index
        self._decoder = PacketDecoder(stream, is_strict=index.is_timed and not uses_damaged)
        self._damage, self._uses_damaged = Damage(index), uses_damaged
        self._faults: dict[int, str] = {}
        self._n_failed = 0
        self._due = [picture for picture in pictures if not self._is_lost(picture)]
        self._plan = plan_decoding(index, self._due)
        self._skips = index.is_timed and stream.codec.canonical_name in EXACT_SKIPPING

    def frames(self, on_packet: Callable[[], None]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield (picture, frame) for the due pictures, and for some others; none that is damaged."""
        frames = self._decoded(on_packet)
        return self._timed(frames) if self._index.is_timed else self._counted(frames)

    def why_missing(self, picture: int) -> str:
        if self._index.is_timed:
            why = self._damage.why(self._index.packet_of(picture))
        else:
            why = self._faults.get(picture)
        return why or "the decoder gave no picture"

    def _is_lost(self, picture: int) -> bool:
        if self._uses_damaged:
            return False
        return self._index.is_timed and self._damage.was_lost(self._index.packet_of(picture))

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Recognise frames by their timestamps.

        A picture is held back until those that it may build on have come, as one of them may be damaged.
        """
        pts = np.where(self._plan.is_sent, self._index.packets.pts, self._index.packets.pts.min())
        horizon = np.maximum.accumulate(pts)
        due_at = {self._index.pts_of(picture): picture for picture in self._due}
        waiting: deque[tuple[int, int, av.VideoFrame]] = deque()
        for frame in frames:
            frame_pts = frame.pts
            if frame_pts is not None and frame.is_corrupt:
                self._note_damage(frame_pts)
            if frame_pts in due_at:
                packet = self._index.packet_of(due_at[frame_pts])
                waiting.append((due_at[frame_pts], packet, frame))
            while waiting and frame_pts is not None and frame_pts >= horizon[waiting[0][1]]:
                yield from self._undamaged(*waiting.popleft())
        while waiting:
            yield from self._undamaged(*waiting.popleft())

    def _note_damage(self, pts: int) -> None:
        picture = self._index.picture_at(pts)
        if picture is not None:
            self._damage.add(self._index.packet_of(picture), DAMAGED)

    def _undamaged(
        self, picture: int, packet: int, frame: av.VideoFrame
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        if self._uses_damaged or self._damage.why(packet) is None:
            yield picture, frame

    def _counted(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Recognise frames by their number; packets that could not be decoded count."""
        is_torn, n_failed = False, 0
        for number, frame in enumerate(frames):
            is_torn = (is_torn and not frame.key_frame) or self._n_failed > n_failed
            n_failed = self._n_failed
            if (frame.is_corrupt or is_torn) and not self._uses_damaged:
                self._faults[number + n_failed] = DAMAGED if frame.is_corrupt else TORN
                is_torn = True
            else:
                yield number + n_failed, frame

    def _decoded(self, on_packet: Callable[[], None]) -> Iterator[av.VideoFrame]:
        """Yield what the decoder makes of the packets of the plan."""
        decoder, plan = self._decoder, self._plan
        n_left = int(plan.is_sent.sum())
        with contextlib.suppress(av.FFmpegError):  # the end that was seen when the index was read
            for number, packet in enumerate(packets(self._container, self._stream, on_packet)):
                if n_left == 0:
                    break
                if not plan.is_sent[number]:
                    continue
                if plan.is_break[number]:
                    yield from self._decode(number, None)
                    decoder.context.flush_buffers()
                if self._skips:
                    decoder.context.skip_frame = "DEFAULT" if plan.is_due[number] else "NONREF"
                yield from self._decode(number, packet)
                n_left -= 1
        yield from self._decode(len(plan.is_sent), None)

    def _decode(self, number: int, packet: av.Packet | None) -> list[av.VideoFrame]:
        frames: list[av.VideoFrame] = []
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError as error:
            if packet is not None and self._index.packets.is_shown[number]:
                self._n_failed += 1
                self._damage.add(number, f"cannot be decoded: {fault(error)}")
        return frames
