"""Names of the scopes that figures are taken over, as tables and sentences write them."""

from __future__ import annotations

ALL_VIDEOS = "all videos"


def mean_name(n_columns: int) -> str:
    """Return the name of a mean over so many columns."""
    return f"mean over {n_columns} column{'' if n_columns == 1 else 's'}"
