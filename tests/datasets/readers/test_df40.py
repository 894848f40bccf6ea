"""DF40: its methods as crops, frames or videos, and what is none of them."""

from __future__ import annotations

from pathlib import Path

from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import classes, read


def test_df40_is_nine_swapping_and_twelve_reenacting_methods_as_face_crops(tmp_path: Path) -> None:
    corpora.df40(tmp_path)
    manifest = read("df40", tmp_path)
    assert classes(manifest) == {("test", "real"): 2, ("test", "FS"): 9, ("test", "RE"): 12}
    assert {(row["kind"], row["n_images"]) for row in manifest.videos.to_pylist()} == {("faces", 3)}
    assert {rule.reason: n for rule, n in manifest.left_out.items()} == {
        "MidJourney: none of the 21 methods": 1,
        "heygen: none of the 21 methods": 1,
        "not made from Celeb-DF's test videos": 1,
    }


def test_df40_can_be_read_as_frames_or_as_videos(tmp_path: Path) -> None:
    corpora.df40(tmp_path / "pictures")
    frames = read("df40", tmp_path / "pictures", kind="frames")
    assert set(frames.videos["kind"].to_pylist()) == {"frames"}
    root = tmp_path / "videos"
    write(root, "Celeb-DF-v2/List_of_testing_videos.txt", "1 Celeb-real/id2_0000.mp4\n")
    corpora.touch(root, ("Celeb-DF-v2/Celeb-real/id2_0000.mp4", "fomm/cdf/videos/id2_id3.mp4"))
    videos = read("df40", root, kind="video")
    assert classes(videos) == {("test", "real"): 1, ("test", "RE"): 1}
    assert videos.missing == []


def test_df40_counts_pictures_that_are_no_frames_and_does_not_take_them(tmp_path: Path) -> None:
    corpora.df40(tmp_path)
    others = ("fomm/sample.png", "fomm/cdf/grid.png", "fomm/cdf/masks/id2_id3_0000/000.png")
    corpora.touch(tmp_path, ("cover.png", *others))
    manifest = read("df40", tmp_path)
    assert classes(manifest) == {("test", "real"): 2, ("test", "FS"): 9, ("test", "RE"): 12}
    reasons = {rule.reason: n for rule, n in manifest.left_out.items()}
    assert reasons["not cdf/frames/VIDEO, but masks or the like"] == 2
    assert reasons["not made from Celeb-DF's test videos"] == 2  # ff/frames, and METHOD/ itself


def test_df40_counts_videos_elsewhere_and_does_not_take_them(tmp_path: Path) -> None:
    write(tmp_path, "Celeb-DF-v2/List_of_testing_videos.txt", "1 Celeb-real/id2_0000.mp4\n")
    videos = ("fomm/cdf/videos/id2_id3.mp4", "fomm/cdf/masks/id2_id3.mp4", "fomm/demo.mp4")
    corpora.touch(tmp_path, ("Celeb-DF-v2/Celeb-real/id2_0000.mp4", *videos))
    manifest = read("df40", tmp_path, kind="video")
    assert classes(manifest) == {("test", "real"): 1, ("test", "RE"): 1}
    assert sum(manifest.left_out.values()) == 2
