"""The balanced sample: every real face, k of each fake video, spread over its time."""

import time
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from dfray.batches.choice import quotas
from dfray.batches.labels import LabelScheme
from dfray.batches.sample import sample_faces, unblendable
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


TABLE_1 = {
    # dataset: (real videos, fake videos, mean faces of a video, real faces chosen, fake faces chosen)
    "ff++": (720, 3600, 12_000 / 720, 12_000, 14_000),
    "celeb-df-v2": (711, 5299, 9000 / 711, 9000, 10_000),
    "dfdc": (19_154, 100_000, 198_000 / 19_154, 198_000, 194_000),
    "fakeavceleb": (348, 14_372, 3000 / 348, 3000, 14_000),
    "forgerynet": (35_256, 28_941, 82_000 / 35_256, 82_000, 55_000),
}
"""arXiv 2508.19730, Table 1: training videos and the faces chosen of them. It tells the classes over all
splits only; in training they are those of the official lists, or (FakeAVCeleb, ForgeryNet) in proportion.
"""


def five_corpora() -> pa.Table:
    """SUMMARIES of the paper's 208,401 training videos; clips of about one length in each corpus,
    but ForgeryNet's, cut from long films, of lengths that fall off geometrically.
    """
    rng = np.random.default_rng(0)
    dataset, label, faces = [], [], []
    for name, (real, fake, mean, *_) in TABLE_1.items():
        count = real + fake
        if name == "forgerynet":
            drawn = rng.geometric(1 / mean, count)
        else:
            drawn = np.maximum(1, rng.normal(mean, mean / 4, count).round())
        dataset += [name] * count
        label += [0] * real + [1] * fake
        faces.append(drawn.astype(np.int32))
    n_faces = np.concatenate(faces)
    columns = {
        "video_id": [f"v{i:06d}" for i in range(len(label))],
        "dataset": dataset,
        "split": ["train"] * len(label),
        "label": np.array(label, np.int8),
        "category": np.where(label, "fake", "real"),
        "n_faces": n_faces,
        "shard": [f"train-{i // 1000:04d}" for i in range(len(label))],
        "first_row": np.cumsum(n_faces) - n_faces,
    }
    return pa.table(columns)


def test_the_five_corpora_merge_into_the_papers_sample_in_seconds() -> None:
    summaries = five_corpora()
    assert summaries.num_rows == 208_401
    tracemalloc.start()
    start = time.process_time()
    sample = sample_faces(summaries, "train", BatchesSection())
    took_s, (_, peak_bytes) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took_s < 20
    assert peak_bytes + summaries.nbytes < 2**30
    # first_row runs on through all shards, so a row names its video
    video = np.searchsorted(summaries["first_row"].to_numpy(), sample.row, side="right") - 1
    of = np.asarray(summaries["dataset"].to_pylist())[video]
    for name, (*_, real, fake) in TABLE_1.items():
        assert np.sum((of == name) & (sample.label == 0)) == pytest.approx(real, rel=0.1)
        assert np.sum((of == name) & (sample.label == 1)) == pytest.approx(fake, rel=0.1)
    assert np.sum(sample.label == 0) == pytest.approx(304_000, rel=0.1)
    assert np.sum(sample.label == 1) == pytest.approx(287_000, rel=0.1)
    assert len(np.unique(video)) == 208_401  # one of every video at the least


def test_validation_does_without_a_corpus_that_has_none(tmp_path):
    videos = [
        (make(f"{dataset}{split}", dataset=dataset, split=split), crops(4))
        for dataset, split in (("celeb-df-v2", "train"), ("dfdc", "train"), ("dfdc", "val"))
        for make in (video_row, fake_row)
    ]
    store = write_store(tmp_path, videos, FacesSection(size_px=8))
    sample = sample_faces(store.summaries(), "val", BALANCED)
    assert len(sample) == 8
    (shard,) = sample.shards
    assert set(store.shard_summaries(shard)["dataset"].to_pylist()) == {"dfdc"}


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


def test_real_faces_that_cannot_be_blended_are_counted_by_dataset(tmp_path):
    settings = FacesSection(size_px=8, landmarks=True)
    videos = [
        (video_row("a"), crops(3)),
        (video_row("b", dataset="crops", kind="faces"), crops(4)),
        (video_row("c", dataset="whole"), crops(2)),
        (fake_row("d"), crops(5)),
        (video_row("e", split="val"), crops(2)),
    ]

    def landmarks(video, frame):
        seen = video["kind"] == "video" and (video["dataset"] == "whole" or frame != 1)
        return np.zeros((468, 2), np.float32) if seen else None

    summaries = write_store(tmp_path, videos, settings, landmarks).summaries()
    assert unblendable(summaries, "train") == {"crops": (4, 4), "toy": (1, 3)}
    assert unblendable(summaries, "val") == {"toy": (1, 2)}
