"""Version of how faces are taken from videos: a model's scores depend on it, beside the recipe's settings.

    1  until November 2026; stores and models of that time state no version
    2  the boxes of faces at the left and upper edge in place, doubtful faces confirmed, faces that fill the
       picture found; pictures at the times at which they are shown, with square pixels; PQ, HLG and
       wide primaries as BT.709 SDR

A change that moves, adds or removes crops, or changes their pixels, is a new version.
"""

from __future__ import annotations

FACES_VERSION = 2
UNSTATED = 1
"""Version of stores and models that state none."""


def version_note(learned: int, scored: int = FACES_VERSION) -> str | None:
    """Return a sentence on a model that learned from faces of another version than it scores; none if not."""
    if learned == scored:
        return None
    return (
        f"learned from faces taken by version {learned} of the extraction and scores faces taken by version "
        f"{scored}: its scores, and its threshold, may be off"
    )
