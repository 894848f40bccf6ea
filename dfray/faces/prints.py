"""Prints of a video: a digest of all its face crops, and perceptual hashes of a few pictures.

Two videos with the same digest gave the same faces, whatever container, name or metadata they have: to a
model they are one video. Hashes of the same pictures that differ in a few bits tell of a re-encoded copy.
"""

from __future__ import annotations

import hashlib

import numpy as np

from dfray.faces.picture_hash import HASHED_FRAMES
from dfray.faces.video import Frame
from dfray.tables import Row


class Prints:
    """Prints of one video, of its frames in order."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._has_faces = False
        self._hashes: list[int | None] = []

    def add(self, frame: Frame) -> None:
        """Count the faces of the next frame, the largest first."""
        for face in frame.faces:
            self._digest.update(np.ascontiguousarray(face.image).data)
            self._has_faces = True
        if frame.frame_index in HASHED_FRAMES:
            self._hashes.append(frame.picture_hash)

    def columns(self) -> Row:
        """Return the columns of SUMMARIES that hold the prints; no digest of a video without a face."""
        digest = self._digest.hexdigest() if self._has_faces else None
        return {"faces_digest": digest, "hashes": self._hashes}
