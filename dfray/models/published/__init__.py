"""Published detectors: a trained head with its network, as their authors release them.

`DETECTORS` is the table; each family has a file. A file is read without running its code and loaded key for
key (`layout.py`), and becomes a bundle like one that dfray trained (`load.py`).
"""

from __future__ import annotations

from dfray.models.published import deepfakebench, fsvfm, gend
from dfray.models.published.detector import PublishedDetector, find
from dfray.models.published.load import load_fetched, load_published

__all__ = ["DETECTORS", "PublishedDetector", "load_fetched", "load_published", "published_detector"]

DETECTORS: dict[str, PublishedDetector] = {
    detector.name: detector
    for family in (fsvfm, gend, deepfakebench)
    for detector in family.DETECTORS
}
"""Name -> published detector, as `dfray import --list` prints them."""


def published_detector(name: str) -> PublishedDetector:
    """Return the detector of a name.

    Raises:
        UserError: there is none; the message has the nearest.
    """
    return find(name, DETECTORS)
