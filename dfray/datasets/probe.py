"""Header of a video container: its video stream and duration, read without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from dfray import storage
from dfray.errors import StorageError


@dataclass(frozen=True)
class Probe:
    """The duration that a container states, if it does; the reason why it cannot be opened, if so."""

    duration_s: float | None
    problem: str | None


def probe(uri: str) -> Probe:
    """Read the header of the container at `uri`, and only its bytes, on s3 as well."""
    import av

    try:
        fs, path = storage.filesystem(uri)
        with fs.open(path, "rb", block_size=2**20) as file:
            if file.size == 0:
                return Probe(None, "empty file")
            return _read_header(file)
    except StorageError as error:
        return Probe(None, error.message)
    except (av.FFmpegError, OSError, ValueError) as error:
        return Probe(None, getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")


def _read_header(file: BinaryIO) -> Probe:
    import av

    with av.open(file, metadata_errors="replace") as container:  # a title need not be UTF-8
        if not container.streams.video:
            return Probe(None, "no video stream")
        stream = container.streams.video[0]
        if stream.duration and stream.time_base:
            return Probe(float(stream.duration * stream.time_base), None)
        if container.duration:
            return Probe(container.duration / av.time_base, None)
        return Probe(None, None)
