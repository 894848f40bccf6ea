"""A collection's statistics come from its own videos, and each label is described apart."""

import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.evaluation.dataset_statistics import MEASURES, describe_datasets, measure_videos
from dfray.faces.shard_writer import ShardWriter
from dfray.faces.shards import FacesStore, read_boxes
from tests.helpers.rows import face_row, fake_row, video_row

FACES = FacesSection(size_px=8, rate_fps=2)
PIXELS = np.zeros((8, 8, 3), np.uint8)


def add(
    writer: ShardWriter, video: dict, boxes: list[list[float]], size=(640, 480), ready_made=False
) -> None:
    """A video whose every sampled frame holds the boxes (w, h), or is a crop that was made before."""
    first, n_frames = writer.rows, 4
    for frame in range(n_frames):
        for rank, (width, height) in enumerate(boxes):
            row = face_row(video, PIXELS, frame, FACES)
            where = {"face_index": rank, "box": [0.0, 0.0, width, height]}
            frame_size = {"frame_width": size[0], "frame_height": size[1]}
            points = {"keypoints": [np.nan] * 12} if ready_made else {}
            writer.add_face(row | where | frame_size | points)
        outcome = {"outcome": "faces" if boxes else "no_face", "n_faces": len(boxes)}
        where = {"video_id": video["video_id"], "frame_index": frame, "time_s": frame / 2}
        writer.add_outcome(where | outcome | {"reason": None})
    with_face = n_frames if boxes else 0
    writer.add_summary(
        video
        | {"status": "ok" if boxes else "no_face", "reason": None, "attempts": 1}
        | {"n_frames": n_frames, "n_frames_with_face": with_face, "n_decode_errors": 0}
        | {"n_faces": n_frames * len(boxes), "cpu_s": 0.1, "shard": writer.shard}
        | {"first_row": first}
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> FacesStore:
    store = FacesStore(str(tmp_path_factory.mktemp("faces")))
    store.claim(FACES)
    writer = ShardWriter(store, f"test-{'0' * 12}.0", FACES)
    add(writer, video_row("000", split="test", dataset="itw"), [[60, 80]], (1920, 1080))
    add(writer, video_row("001", split="test", dataset="itw"), [[40, 30], [20, 20]], (720, 1280))
    add(writer, fake_row("002", split="test", dataset="itw"), [[100, 120]])
    add(writer, video_row("003", split="test", dataset="itw"), [])
    add(writer, video_row("004", split="test", dataset="other"), [[50, 50]])
    crop = video_row("005", split="test", dataset="crops")
    add(writer, crop, [[224, 224]], (224, 224), ready_made=True)
    writer.commit()
    return store


def collections(store: FacesStore, *names: str):
    boxes = read_boxes(store, "test")
    return describe_datasets(names, store.summaries(["test"]), store.outcomes(), boxes)


def test_every_video_is_measured_and_one_without_a_face_keeps_its_length(store):
    table = measure_videos(store.summaries(["test"]), store.outcomes(), read_boxes(store, "test"))
    rows = [row for row in table.to_pylist() if row["dataset"] == "itw"]
    values = {tuple(row[name] for name in MEASURES) for row in rows}
    assert values == {
        (1.0, 1.5, 1080.0, 80.0),
        (2.0, 1.5, 720.0, 30.0),
        (1.0, 1.5, 480.0, 120.0),
        (None, 1.5, None, None),
    }


def test_a_table_row_and_a_plot_for_each_measure_real_and_fake_apart(store):
    (itw,) = collections(store, "itw", "wilddeepfake")
    assert (itw.dataset, itw.n_real, itw.n_fake) == ("itw", 3, 1)
    assert len(itw.plots) == len(MEASURES)
    spread = {(row.name, row.label): row for row in itw.rows}
    real = spread[MEASURES["resolution_px"], "real"]
    assert (real.n, real.quartiles) == (2, (720.0, 810.0, 900.0, 990.0, 1080.0))
    assert spread[MEASURES["length_s"], "real"].n == 3
    assert spread[MEASURES["face_px"], "fake"].quartiles == (120.0,) * 5


def test_crops_that_were_made_before_have_no_resolution(store):
    (crops,) = collections(store, "crops")
    measured = {row.name for row in crops.rows}
    assert MEASURES["resolution_px"] not in measured
    assert MEASURES["face_px"] in measured
    assert len(crops.plots) == len(MEASURES) - 1


def test_boxes_are_read_without_pixels_and_in_order(store):
    boxes = read_boxes(store, "test")
    assert "image" not in boxes.column_names
    names = ["video_id", "frame_index", "face_index"]
    keys = [tuple(row.values()) for row in boxes.select(names).to_pylist()]
    assert keys == sorted(keys)
    assert len(keys) == 24


def test_a_split_without_faces_has_no_boxes(store):
    assert read_boxes(store, "val").num_rows == 0
