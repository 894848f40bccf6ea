"""Names of scopes and rules of figures, as tables and sentences write them."""

from __future__ import annotations

from collections.abc import Sequence

from dfray.config import PASSES, View

ALL_VIDEOS = "all videos"
VIDEO_RULES = {
    "mean": "A video's score is the mean fake probability over its faces.",
    "max_of_persons": "A video's score is the highest mean fake probability of a person in it.",
}
"""`evaluation.video_rule` -> its sentence for pages."""


def views_name(views: Sequence[View]) -> str:
    """Return the views of a face by name, with what they cost."""
    passes = sum(PASSES[view] for view in views)
    cost = f"{passes} passes of the network over each face, {passes} times the cost of one"
    return ", ".join(views) + (f": {cost}" if passes > 1 else "")


def mean_name(n_columns: int) -> str:
    """Return the name of a mean over so many columns."""
    return f"mean over {n_columns} column{'' if n_columns == 1 else 's'}"
