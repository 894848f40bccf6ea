"""Digests are read by a child: a disk that hangs, or a child that dies, is told within the limit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dfray.errors import StorageError
from dfray.faces.digests import DigestReader
from dfray.faces.sources import content_digest
from tests.helpers.stuck_digests import STUCK


@pytest.fixture
def videos(tmp_path: Path) -> list[tuple[str, str]]:
    """Two files and a folder of pictures, and a file that is not there."""
    (tmp_path / "a.mp4").write_bytes(bytes(range(256)) * 8192)
    (tmp_path / "b.mp4").write_bytes(b"b")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames/1.png").write_bytes(b"1")
    kinds = {"a.mp4": "video", "gone.mp4": "video", "frames": "frames", "b.mp4": "video"}
    return [(str(tmp_path / name), kind) for name, kind in kinds.items()]


@pytest.mark.parametrize("n_samples", [1, 16])
def test_digests_come_in_order_and_are_those_of_this_process(
    videos: list[tuple[str, str]], n_samples: int
) -> None:
    with DigestReader(60.0) as reader:
        found = reader.digests(videos, n_samples)
        assert reader.digests(videos[:1], n_samples) == found[:1]
    assert found == [content_digest(uri, kind, n_samples) for uri, kind in videos]
    assert [digest is None for digest in found] == [False, True, False, False]


def test_without_a_video_no_child_is_started() -> None:
    with DigestReader(60.0, command=("/nowhere",)) as reader:
        assert reader.digests([]) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c.stuck.mp4", r"nothing came from its disk or mount for 2 s \(faces\.stall_limit_s\)"),
        ("c.fatal.mp4", "the process that reads its digest ended with SIGABRT"),
    ],
)
def test_a_disk_that_hangs_and_a_child_that_dies_are_told(
    videos: list[tuple[str, str]], name: str, words: str
) -> None:
    begin_s = time.monotonic()
    with pytest.raises(StorageError, match=words), DigestReader(2.0, command=STUCK) as reader:
        reader.digests([("/corpus/" + name, "video"), *videos])
    assert time.monotonic() - begin_s < 60
