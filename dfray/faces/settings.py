"""Settings that identify faces: with the same ones, a video gives the same faces."""

from __future__ import annotations

import hashlib
from typing import Any

from dfray import storage
from dfray.config import FacesSection
from dfray.faces.version import FACES_VERSION


def identifying_settings(settings: FacesSection) -> dict[str, Any]:
    """Return the settings that a face row depends on, and the version, as JSON.

    A detector's file counts by its SHA-256, wherever it lies.

    Raises:
        StorageError: that file cannot be read.
    """
    values = settings.shaping() | {"faces_version": FACES_VERSION}
    if settings.detector_model is not None:
        content = storage.read_bytes(settings.detector_model)
        values["detector_model"] = hashlib.sha256(content).hexdigest()
    return values
