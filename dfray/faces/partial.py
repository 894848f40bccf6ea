"""Bytes of a long remote video that its sampled pictures need, fetched before it is decoded.

The video lies in a local file of its size, with zeros but for what was fetched. Its index tells times, places
and sizes of all packets, and decoders get none that was not fetched. A file without such an index is fetched
whole, and so is one whose pictures need more than the index says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np

from dfray.faces.containers import open_video
from dfray.faces.decoding_plan import plan_decoding
from dfray.faces.mp4 import index_range
from dfray.faces.packet_table import since
from dfray.faces.sampling import Sampling, sample
from dfray.faces.sources import PartialVideo, UnreadableSourceError
from dfray.faces.video_index import VideoIndex, read_index
from dfray.storage import Range

Fetch = Callable[[list[Range]], None]
"""A function that copies ranges of the remote file into the local one."""

_HEAD_BYTES = 64 * 2**10
"""Bytes fetched where a box begins: most often the box and all that follows is in them."""
_OPENING_BYTES = 128 * 2**10
"""Media data that are fetched in any case: FFmpeg reads the first packets to know the stream."""
_LARGEST_SHARE = 0.6
"""Share of the media data above which all of it is fetched: requests cost more than that many bytes."""


def fetch_needed(
    video: PartialVideo,
    sampling: Sampling,
    first_frame: int,
    fetch: Fetch,
    on_packet: Callable[[], None],
) -> None:
    """Fetch what the pictures sampled by `sampling` need, from `first_frame` on.

    Args:
        on_packet: called for every packet read, as a sign of life.

    Raises:
        StorageError: the remote file cannot be read.
    """
    beginning = _fetch_index(video, fetch)
    plan = _Plan(video.path, sampling, first_frame, on_packet)
    if not (beginning and plan.fetch_packets(beginning, fetch)):
        fetch([(0, video.n_bytes)])


def _fetch_index(video: PartialVideo, fetch: Fetch) -> list[Range] | None:
    """Fetch the head of the file, its index and the opening; return their ranges; none without an index."""
    ranges: list[Range] = []

    def read(first: int, size: int) -> bytes:
        if not any(start <= first and first + size <= start + length for start, length in ranges):
            ranges.append((first, min(_HEAD_BYTES, video.n_bytes - first)))
            fetch(ranges[-1:])
        with open(video.path, "rb") as file:
            file.seek(first)
            return file.read(size)

    places = index_range(read, video.n_bytes)
    if places is None:
        return None
    index, media = places
    ranges += [index, (media, min(_OPENING_BYTES, video.n_bytes - media))]
    fetch(ranges)
    return ranges


@dataclass(frozen=True)
class _Plan:
    """The packets that the sampled pictures of a partial video need."""

    path: str
    sampling: Sampling
    first_frame: int
    on_packet: Callable[[], None]

    def fetch_packets(self, beginning: list[Range], fetch: Fetch) -> bool:
        """Fetch the packets; return False if others may be needed as well, or most are.

        Args:
            beginning: ranges that are there already.
        """
        try:
            index, layout = self._read()
            if len(index.packets) != len(layout):
                return False
            places, sizes, is_key = layout.T
            keys = [(key, 0) for key in np.flatnonzero(is_key).tolist()]
            needed = self._sent(index, since(index.packets.pts, keys, before=0))
            for first, size in beginning:  # no packet may be there in part
                needed |= (places < first + size) & (places + sizes > first)
            if sizes[needed].sum() > _LARGEST_SHARE * sizes.sum():
                return False
            fetch(_merged(places[needed], sizes[needed]))
            index, _ = self._read()  # now the packets themselves tell where decoding may begin
            return not (self._sent(index, index.packets.start) & ~needed).any()
        except (av.FFmpegError, UnreadableSourceError):
            return False

    def _read(self) -> tuple[VideoIndex, np.ndarray]:
        """Return the video's index, and (place, size, is a key picture) of each packet, int64 (N, 3).

        FFmpeg takes the mark off a packet in which it sees no key picture, as in one that is not fetched; the
        container's own index has it.
        """
        with open_video(self.path) as (container, stream):
            entries = [(entry.pos, entry.size, entry.is_keyframe) for entry in stream.index_entries]
            index = read_index(self.path, container, stream, self.on_packet)
        return index, np.array(entries, np.int64).reshape(-1, 3)

    def _sent(self, index: VideoIndex, start: np.ndarray) -> np.ndarray:
        """Return the mask of the packets that are decoded, if decoding of each may begin at `start`."""
        due_pictures = sample(index.times, self.sampling).pictures[self.first_frame :]
        table = dataclasses.replace(index.packets, start=start)
        return plan_decoding(
            dataclasses.replace(index, packets=table), np.unique(due_pictures).tolist()
        ).is_sent


def _merged(places: np.ndarray, sizes: np.ndarray) -> list[Range]:
    """Return the ranges of packets, those that touch each other as one."""
    order = np.argsort(places, kind="stable")
    firsts, ends = places[order], (places + sizes)[order]
    is_new = np.concatenate([[True], firsts[1:] != ends[:-1]])
    begins = np.flatnonzero(is_new)
    lengths = np.add.reduceat(sizes[order], begins)
    return list(zip(firsts[begins].tolist(), lengths.tolist(), strict=True))
