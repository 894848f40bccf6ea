"""The plan of shards: every video once, one split a shard, about the size asked for."""

import numpy as np

from dfray.config import FacesSection
from dfray.faces.shard_plan import expected_faces, plan_shards
from dfray.tables import SUMMARIES
from tests.helpers.rows import video_row, videos_table

SETTINGS = FacesSection(rate_fps=2, size_px=224, shard_mb=4)
NOTHING = SUMMARIES.schema.empty_table()


def manifest(count: int, **changes):
    splits = ("train", "train", "val", "test")
    return videos_table(
        [video_row(f"{i:03d}", split=splits[i % 4], **changes) for i in range(count)]
    )


def ids(plans) -> list[str]:
    return [v for plan in plans for v in plan.videos["video_id"].to_pylist()]


def done_of(plans) -> object:
    rows = [
        dict.fromkeys(SUMMARIES.names)
        | video
        | {"shard": f"{plan.shard}.0", "status": "ok", "attempts": 1, "cpu_s": 0.0, "first_row": 0}
        | dict.fromkeys(("n_frames", "n_frames_with_face", "n_decode_errors", "n_faces"), 1)
        for plan in plans
        for video in plan.videos.to_pylist()
    ]
    return SUMMARIES.from_rows(rows)


def test_every_video_is_planned_once_and_splits_do_not_mix():
    videos = manifest(100)
    pending, committed = plan_shards(videos, SETTINGS, NOTHING, workers=2, seed=0)
    assert committed == []
    assert sorted(ids(pending)) == sorted(videos["video_id"].to_pylist())
    for plan in pending:
        (split,) = set(plan.videos["split"].to_pylist())
        assert plan.shard.startswith(f"{split}-")


def test_shards_have_about_the_size_asked_for():
    videos = manifest(4000, duration_s=10.0)
    pending, _ = plan_shards(videos, SETTINGS, NOTHING, workers=1, seed=0)
    per_face = 224 * 224 * 3 * 0.75
    sizes = [expected_faces(plan.videos, SETTINGS).sum() * per_face for plan in pending]
    assert max(sizes) <= 1.6 * 4 * 2**20
    assert np.median(sizes) >= 0.5 * 4 * 2**20


def test_a_small_manifest_is_cut_so_that_all_workers_have_work():
    pending, _ = plan_shards(manifest(64), SETTINGS, NOTHING, workers=4, seed=0)
    train = [plan for plan in pending if plan.shard.startswith("train")]
    assert len(train) >= 8


def test_the_same_seed_gives_the_same_plan_and_another_another():
    first, again = (
        plan_shards(manifest(50), SETTINGS, NOTHING, workers=2, seed=3)[0] for _ in range(2)
    )
    assert [p.shard for p in first] == [p.shard for p in again]
    other, _ = plan_shards(manifest(50), SETTINGS, NOTHING, workers=2, seed=4)
    assert ids(other) != ids(first)


def test_committed_videos_are_not_planned_again_but_found():
    videos = manifest(40)
    pending, _ = plan_shards(videos, SETTINGS, NOTHING, workers=2, seed=0)
    done = done_of(pending[:3])
    rest, committed = plan_shards(videos, SETTINGS, done, workers=2, seed=0)
    assert {p.shard for p in committed} == {p.shard for p in pending[:3]}
    assert sorted(ids(rest) + ids(committed)) == sorted(ids(pending))
    assert not set(ids(rest)) & set(ids(committed))


def test_a_manifest_that_grew_keeps_what_was_done():
    pending, _ = plan_shards(manifest(40), SETTINGS, NOTHING, workers=2, seed=0)
    rest, committed = plan_shards(manifest(44), SETTINGS, done_of(pending), workers=2, seed=0)
    assert len(ids(rest)) == 4
    assert len(ids(committed)) == 40


def test_an_unknown_duration_counts_as_something():
    assert expected_faces(manifest(4, duration_s=None), SETTINGS).min() >= 1


def test_an_unknown_duration_is_that_of_the_dataset_on_average():
    known = [video_row("a", duration_s=4.0), video_row("b", duration_s=8.0)]
    rows = [*known, video_row("c", duration_s=None), video_row("d", dataset="x", duration_s=None)]
    assert expected_faces(videos_table(rows), SETTINGS).tolist() == [8, 16, 12, 20]


def test_a_number_of_frames_is_expected_whatever_the_length():
    videos = videos_table([video_row("a", duration_s=2.0), video_row("b", duration_s=None)])
    assert expected_faces(videos, FacesSection(frames=32)).tolist() == [32, 32]


def test_of_a_video_in_pictures_each_is_a_frame():
    rows = [video_row("a", kind="faces", n_images=7, duration_s=None)]
    assert expected_faces(videos_table(rows), SETTINGS).tolist() == [7]
