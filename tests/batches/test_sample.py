"""The balanced sample: every real face, k of each fake video, spread over its time."""

import time

import numpy as np
import pyarrow as pa
import pytest

from dfray.batches.labels import LabelScheme
from dfray.batches.sample import quotas, sample_faces
from dfray.config import BatchesSection, FacesSection
from dfray.errors import ManifestError, UserError
from tests.helpers.rows import fake_row, video_row, write_store

BALANCED = BatchesSection(batch_size=4)


def crops(count: int) -> list[np.ndarray]:
    return [np.full((8, 8, 3), i, np.uint8) for i in range(count)]


@pytest.fixture
def store(tmp_path):
    videos = [
        (video_row("r1"), crops(6)),
        (video_row("r2"), crops(4)),
        *((fake_row(f"f{i}"), crops(10)) for i in range(4)),
        (fake_row("short"), crops(1)),
        (fake_row("none"), []),
        (video_row("t", split="test"), crops(3)),
    ]
    return write_store(tmp_path, videos, FacesSection(size_px=8))


def test_every_real_face_and_k_of_each_fake_video(store):
    sample = sample_faces(store.summaries(), "train", BALANCED)
    assert np.sum(sample.label == 0) == 10
    # k = ceil(10 real faces / 5 fake videos with a face) = 2; the short one has but 1
    assert np.sum(sample.label == 1) == 4 * 2 + 1


def test_faces_of_a_video_are_spread_evenly_over_its_time(store):
    summaries = store.summaries()
    sample = sample_faces(summaries, "train", BALANCED)
    first = {r["video_id"]: r["first_row"] for r in summaries.to_pylist()}["toy/swap/f2"]
    chosen = sample.row[(sample.row >= first) & (sample.row < first + 10)] - first
    assert chosen.tolist() == [2, 7]


def test_all_takes_all(store):
    sample = sample_faces(store.summaries(), "train", BatchesSection(batch_size=4, sampling="all"))
    assert len(sample) == 10 + 41


def test_the_balance_is_kept_within_each_dataset():
    dataset = np.array(["a", "a", "b", "b", "b"])
    label = np.array([0, 1, 0, 1, 1])
    taken = quotas(dataset, label, np.array([30, 100, 5, 100, 0]), "balanced")
    assert taken.tolist() == [30, 30, 5, 5, 0]


def test_a_dataset_of_one_class_is_taken_whole():
    taken = quotas(np.array(["a", "b"]), np.array([0, 1]), np.array([3, 7]), "balanced")
    assert taken.tolist() == [3, 7]


@pytest.mark.parametrize(("split", "told"), [("test", "only real faces"), ("val", "no face")])
def test_a_split_that_cannot_train_is_refused(store, split, told):
    with pytest.raises(ManifestError, match=f"Split {split} has {told}"):
        sample_faces(store.summaries(), split, BALANCED)


def test_test_data_choose_no_checkpoint(store):
    summaries = store.summaries()
    test = pa.array(["test"] * summaries.num_rows)
    place = summaries.schema.get_field_index("split")
    all_test = summaries.set_column(place, summaries.schema.field(place), test)
    with pytest.raises(UserError, match="A checkpoint would be chosen on test data"):
        sample_faces(all_test, "test", BALANCED)


def test_a_plan_for_200_000_videos_takes_seconds():
    rng = np.random.default_rng(0)
    count = 208_401
    dataset = rng.choice(["ff++", "dfdc", "forgerynet"], count)
    start = time.process_time()
    taken = quotas(dataset, rng.integers(0, 2, count), rng.integers(0, 30, count), "balanced")
    assert taken.sum() > count
    assert time.process_time() - start < 10


def test_labels_follow_the_scheme_and_the_balance_is_still_of_real_and_fake(tmp_path):
    kinds = ("FS", "RE", "FS", "RE")
    videos = [
        (video_row("r"), crops(6)),
        *((fake_row(f"f{i}", category=kind), crops(10)) for i, kind in enumerate(kinds)),
    ]
    summaries = write_store(tmp_path, videos, FacesSection(size_px=8)).summaries()
    classes = LabelScheme.of("category", summaries)
    binary = sample_faces(summaries, "train", BALANCED)
    sample = sample_faces(summaries, "train", BALANCED, classes)
    assert np.bincount(sample.label).tolist() == [6, 4, 4]
    assert np.array_equal(sample.row, binary.row)
    assert np.array_equal(np.minimum(sample.label, 1), binary.label)
