"""Findings of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfray.render.tables import print_files

if TYPE_CHECKING:
    from dfray.audit.equal import EqualVideos


def show_equal_videos(groups: Sequence[EqualVideos]) -> None:
    """Print the groups of equal videos: those in training and in test, and those in one split alone."""
    crossing = [str(group) for group in groups if group.crosses]
    within = [str(group) for group in groups if not group.crosses]
    contradicting = [str(group) for group in groups if group.contradicts]
    by = " and ".join(sorted({group.by for group in groups}))
    print_files(f"equal {by}, in training and in test", crossing)
    print_files(f"equal {by}, not in training and in test at once", within)
    print_files(f"equal {by}, labelled real and fake", contradicting)
