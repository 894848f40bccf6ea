"""Stored faces whose split or class the manifest contradicts are refused: test videos would be trained on."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dfray.errors import UserError
from dfray.faces.agreement import require_agreement
from tests.helpers.rows import fake_row, video_row, videos_table

STORED = [video_row("a"), video_row("b"), fake_row("c"), video_row("removed")]


def stored() -> pa.Table:
    return videos_table(STORED)  # the columns that SUMMARIES share


def test_the_same_videos_more_videos_and_fewer_agree() -> None:
    videos = videos_table([*STORED[:3], video_row("new", split="test")])
    require_agreement(stored(), videos, "store")
    require_agreement(stored().slice(0, 0), videos, "store")


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (video_row("b", split="test"), "toy/camera/b .split train stored, test in the manifest"),
        (video_row("b", label=1, category="fake"), "label 0 stored, 1 in the manifest; category"),
        (video_row("b", method="other", split="test"), "toy/camera/b .split train stored, test"),
    ],
    ids=["split", "class", "split and id"],
)
def test_a_video_of_another_split_or_class_is_refused_and_named(
    changed: dict, difference: str
) -> None:
    videos = videos_table([STORED[0], changed, STORED[2]])
    with pytest.raises(UserError, match=rf"1 of the 4 videos .*store .*{difference}.*extract anew"):
        require_agreement(stored(), videos, "store")
