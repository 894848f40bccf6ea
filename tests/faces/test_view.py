"""A run sees the stored faces of the videos that its manifest lists, described as the manifest says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.evaluation.score import FaceScorer, plan_tasks
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import ROW_GROUP, FacesStore, described, read_boxes
from dfray.faces.view import FacesView
from dfray.tables import FACES
from tests.helpers.rows import fake_row, video_row, videos_table, write_store

SETTINGS = FacesSection(size_px=32)
FACES_EACH = 40
STORED = [video_row("a"), video_row("b"), fake_row("c"), video_row("d", split="test")]


def crops(level: int, count: int = FACES_EACH) -> list[np.ndarray]:
    return [np.full((32, 32, 3), level, np.uint8)] * count


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FacesStore:
    videos = [(row, crops(number)) for number, row in enumerate(STORED)]
    return write_store(tmp_path_factory.mktemp("faces"), videos, SETTINGS)


def view(store: FacesStore, *rows: dict) -> FacesView:
    return FacesView(store.uri, videos_table(list(rows)))


def test_videos_that_are_not_listed_are_not_seen(store: FacesStore) -> None:
    some = view(store, STORED[2], STORED[0], video_row("new"))
    assert some.summaries()["video_id"].to_pylist() == ["toy/swap/c", "toy/camera/a"]
    assert set(some.outcomes()["video_id"].to_pylist()) == {"toy/swap/c", "toy/camera/a"}
    assert some.outcomes().num_rows == 2 * FACES_EACH
    assert len(some.shards("train")) == 1
    assert some.shards("test") == []


def test_listed_videos_that_were_never_extracted_are_told_by_split(store: FacesStore) -> None:
    rows = [STORED[0], fake_row("new", split="test"), video_row("newer")]
    some = view(store, *rows, STORED[3] | {"uri": "/elsewhere/d.mp4"})
    never = some.unextracted(["test"])
    assert never["video_id"].to_pylist() == ["toy/swap/new", "toy/camera/d"]
    assert never["label"].to_pylist() == [1, 0]
    assert some.unextracted(["train"])["video_id"].to_pylist() == ["toy/camera/newer"]


def test_a_video_of_the_same_id_at_another_place_is_another_video(store: FacesStore) -> None:
    moved = view(store, STORED[0] | {"uri": "/elsewhere/a.mp4"}, STORED[1])
    assert moved.summaries()["video_id"].to_pylist() == ["toy/camera/b"]
    assert set(moved.outcomes()["video_id"].to_pylist()) == {"toy/camera/b"}


def test_two_videos_of_one_id_are_told_apart_in_one_store(tmp_path: Path) -> None:
    place = {"uri": "/elsewhere/a.mp4", "split": "test"}
    store = write_store(
        tmp_path, [(STORED[0], crops(1, 3)), (STORED[0] | place, crops(2, 5))], SETTINGS
    )
    for row, count in ((STORED[0], 3), (STORED[0] | place, 5)):
        run = view(store, row)
        assert run.summaries()["n_faces"].to_pylist() == [count]
        assert run.outcomes().num_rows == count
        assert read_boxes(run, row["split"]).num_rows == count


def test_split_and_class_are_the_manifests_and_not_the_stored_ones(store: FacesStore) -> None:
    changed = {"split": "test", "label": 1, "category": "fake", "dataset": "renamed"}
    run = view(store, STORED[0] | changed, STORED[1], STORED[3] | {"split": "val"})
    (tested,) = run.summaries(["test"]).to_pylist()
    assert {name: tested[name] for name in changed} == changed
    assert run.summaries(["train"])["video_id"].to_pylist() == ["toy/camera/b"]
    assert run.summaries(["val"])["video_id"].to_pylist() == ["toy/camera/d"]
    boxes = read_boxes(run, "test")
    assert set(boxes["dataset"].to_pylist()) == {"renamed"}
    assert set(boxes["label"].to_pylist()) == {1}
    assert run.fingerprint("test") != view(store, STORED[3]).fingerprint("test")


def test_scoring_reads_only_row_groups_that_hold_listed_faces_and_only_those_faces(
    store: FacesStore,
) -> None:
    run = view(store, STORED[2])
    (task,) = plan_tasks(run, "train")
    first, last = 2 * FACES_EACH // ROW_GROUP, (3 * FACES_EACH - 1) // ROW_GROUP
    assert task["groups"] == list(range(first, last + 1))
    faces = FaceScorer.read(object.__new__(FaceScorer), task)
    assert faces["video_id"].unique().to_pylist() == ["toy/swap/c"]
    assert faces.num_rows == FACES_EACH


def test_rows_are_described_by_their_video(store: FacesStore) -> None:
    faces = FACES.read(store.shards("test")[0])
    table = described(faces, videos_table([STORED[3] | {"split": "val"}]))
    assert table.schema == FACES.schema
    assert set(table["split"].to_pylist()) == {"val"}


def test_only_videos_that_the_view_lacks_are_extracted(store: FacesStore) -> None:
    moved = STORED[0] | {"uri": "/elsewhere/a.mp4"}
    videos = videos_table([moved, *STORED[1:], video_row("new")])
    stored = FacesView(store.uri, videos).summaries()
    pending, _ = plan_shards(videos, SETTINGS, stored, workers=1, seed=0)
    assert {uri for plan in pending for uri in plan.videos["uri"].to_pylist()} == {
        "/elsewhere/a.mp4",
        "/videos/new.mp4",
    }


def test_a_shard_of_moved_videos_has_another_name(store: FacesStore) -> None:
    def names(row: dict) -> list[str]:
        empty = store.summaries().slice(0, 0)
        plans, _ = plan_shards(videos_table([row]), SETTINGS, empty, workers=1, seed=0)
        return [plan.shard for plan in plans]

    assert names(STORED[0]) != names(STORED[0] | {"uri": "/elsewhere/a.mp4"})


def test_of_a_file_that_was_overwritten_only_the_listed_content_is_seen(tmp_path: Path) -> None:
    contents = [(STORED[0] | {"content": f"7-{k}", "split": f"{k}"}, crops(k, k)) for k in (1, 2)]
    store = write_store(tmp_path, contents, SETTINGS)
    for row, images in contents:
        run = view(store, row)
        assert run.summaries()["n_faces"].to_pylist() == [len(images)]
        assert run.outcomes().num_rows == len(images)
    assert view(store, STORED[0] | {"content": "9-3"}).summaries().num_rows == 0
