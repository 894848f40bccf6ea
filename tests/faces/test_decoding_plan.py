"""Packets that the due pictures need, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfray.faces.containers import open_video
from dfray.faces.decoding_plan import DecodingPlan, plan_decoding
from dfray.faces.video_index import VideoIndex, read_index
from tests.helpers.clips import write_clip
from tests.helpers.numbered import numbered_pictures
from tests.helpers.remux import in_decoding_order, remux


def index_of(path: Path) -> VideoIndex:
    with open_video(str(path)) as (container, stream):
        return read_index(str(path), container, stream, lambda: None)


def sent(plan: DecodingPlan) -> list[int]:
    return np.flatnonzero(plan.is_sent).tolist()


def clip(folder: Path, name: str, **settings: Any) -> Path:
    return write_clip(folder / name, numbered_pictures(60), **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("h264.mp4", {"options": {"g": "20", "bf": "0"}}),
        ("h264.ts", {"options": {"g": "20", "bf": "0"}}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"g": "20", "cpu-used": "8"}}),
        ("mpeg4.mp4", {"codec": "mpeg4", "options": {"g": "20", "sc_threshold": "1000000000"}}),
    ],
)
def test_groups_without_a_due_picture_and_the_ends_of_others_are_left_out(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    plan = plan_decoding(index_of(clip(tmp_path, name, **settings)), [3, 40, 42])
    assert sent(plan) == [0, 1, 2, 3, 40, 41, 42]
    assert np.flatnonzero(plan.is_break).tolist() == [40]
    assert np.flatnonzero(plan.is_due).tolist() == [3, 40, 42]


def test_pictures_that_no_other_needs_are_left_out_unless_they_are_due(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=30:bframes=2:b-adapt=0:b-pyramid=none:scenecut=0"}
    index = index_of(clip(tmp_path, "b.mp4", options=options))
    due = [7, 8]
    plan = plan_decoding(index, due)
    packets = [index.packet_of(picture) for picture in due]
    needless = set(np.flatnonzero(index.packets.is_droppable).tolist()) - set(packets)
    assert needless
    assert sent(plan) == [n for n in range(max(packets) + 1) if n not in needless]


def test_all_of_a_group_that_is_open_is_decoded(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:keyint=20:bframes=2:scenecut=0"}
    index = index_of(clip(tmp_path, "open.mp4", options=options))
    plan = plan_decoding(index, [45])
    assert sent(plan)[0] == 0


def test_leading_pictures_of_hevc_need_the_group_before(tmp_path: Path) -> None:
    params = "open-gop=1:keyint=20:bframes=3:b-adapt=0:scenecut=0:log-level=none"
    options = {"x265-params": params, "preset": "ultrafast"}
    index = index_of(clip(tmp_path, "open.mkv", codec="libx265", options=options))
    start = index.packet_of(40)
    assert sent(plan_decoding(index, [40])) == [start]
    leading = index.packet_of(39)
    assert leading > start
    assert sent(plan_decoding(index, [39]))[0] == index.packet_of(20)
    assert leading not in sent(plan_decoding(index, [42]))


def test_everything_is_decoded_where_only_the_order_tells_the_pictures(tmp_path: Path) -> None:
    whole = clip(tmp_path, "whole.mp4", options={"g": "20", "bf": "3"})
    index = index_of(remux(whole, tmp_path / "remuxed.mkv", in_decoding_order))
    assert not index.is_timed
    assert sent(plan_decoding(index, [3])) == list(range(60))
