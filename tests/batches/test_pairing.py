"""Pairs of batches: each fake face with a face of the video it was made from."""

from collections import Counter

import numpy as np
import pytest

from dfray.batches.choice import choose_faces
from dfray.batches.pairing import NO_SOURCE, count_pairs, partners, rows_of_sources
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import BatchesSection, FacesSection
from dfray.errors import ManifestError
from tests.helpers.rows import fake_row, video_row, videos_table, write_store

PAIRED = BatchesSection(batch_size=8, shuffle_faces=16, pairing="source")
SETTINGS = FacesSection(size_px=8)


def fake_of(stem: str, source: str, **changes) -> dict:
    return fake_row(stem, source_video=f"toy/camera/{source}", **changes)


def chosen(videos: list[dict], available: list[int], section: BatchesSection = PAIRED):
    choice = choose_faces(videos_table(videos), np.array(available), "train", section)
    faces = Counter(choice.video.tolist())
    return choice, [faces[row] for row in range(len(videos))]


def test_a_fake_has_the_row_of_its_source():
    videos = [
        video_row("r"),
        fake_of("f", "r"),
        fake_row("of nobody"),
        fake_of("of another split", "gone"),
        fake_of("of a fake", "r") | {"source_video": "toy/swap/f"},
        video_row("real", source_video="toy/camera/r"),
    ]
    rows = rows_of_sources(videos_table(videos), np.ones(6, np.int64))
    assert rows.tolist() == [NO_SOURCE, 0, NO_SOURCE, NO_SOURCE, NO_SOURCE, NO_SOURCE]


@pytest.mark.parametrize("available", [[0, 5], [5, 0]])
def test_a_pair_needs_a_face_of_both(available):
    rows = rows_of_sources(videos_table([video_row("r"), fake_of("f", "r")]), np.array(available))
    assert rows.tolist() == [NO_SOURCE, NO_SOURCE]


def test_fakes_are_balanced_within_their_source():
    videos = [video_row("a"), video_row("b"), *(fake_of(f"a{i}", "a") for i in range(3))]
    videos += [fake_of("b0", "b")]
    _, faces = chosen(videos, [10, 8, 50, 50, 2, 50])
    # a: k = ceil(10 / 3) = 4, and the last fake has but 2; b: k = 8
    assert faces == [10, 8, 4, 4, 2, 8]


def test_all_faces_of_fakes_are_paired_if_all_are_sampled():
    every = PAIRED.model_copy(update={"sampling": "all"})
    _, faces = chosen([video_row("a"), fake_of("x", "a"), fake_of("y", "a")], [4, 10, 6], every)
    assert faces == [16, 10, 6]


def test_videos_in_no_pair_are_sampled_as_without_pairs():
    videos = [video_row("a"), fake_of("x", "a"), video_row("alone"), fake_row("of nobody")]
    choice, faces = chosen(videos, [6, 9, 7, 30])
    assert faces == [6, 6, 7, 7]  # of nobody: k = ceil(13 real faces / 2 fake videos)
    assert len(choice.pairs) == 6


def test_validation_is_not_paired():
    videos = videos_table([video_row("a"), fake_of("x", "a"), fake_of("y", "a")])
    choice = choose_faces(videos, np.array([4, 9, 9]), "val", PAIRED)
    assert Counter(choice.video.tolist()) == {0: 4, 1: 2, 2: 2}
    assert choice.pairs.shape == (0, 2)


def test_a_pair_is_of_about_the_same_moment():
    """Of 100 faces each, the fakes' times differ from their partners' by less than a tenth of the video."""
    video = np.repeat([1, 2], 50)
    face = np.tile(np.arange(50) * 2, 2)
    source, available = np.array([NO_SOURCE, 0, 0]), np.array([100, 100, 100])
    found = partners(video, face, source, available)
    assert np.abs(found - face).max() < 10
    assert np.bincount(found, minlength=100).tolist() == [1] * 100


@pytest.mark.parametrize("n_faces", [1, 3, 7, 40])
def test_each_face_of_a_source_is_taken_as_often_as_the_others(n_faces):
    source, available = np.array([NO_SOURCE, 0]), np.array([n_faces, 20])
    found = partners(np.ones(20, np.int64), np.arange(20), source, available)
    counts = np.bincount(found, minlength=n_faces)
    assert counts.max() - counts.min() <= 1
    assert found.min() >= 0
    assert found.max() < n_faces


def spelt(number: int, count: int) -> list[np.ndarray]:
    """Crops whose first pixel spells the video and the rank."""
    images = []
    for rank in range(count):
        image = np.zeros((8, 8, 3), np.uint8)
        image[0, 0] = (number, rank, 0)
        images.append(image)
    return images


N_SOURCES = 15


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Videos 0 to 14 are sources of two fakes each, 100 + source and 200 + source; 50 and 51 in no pair."""
    videos = []
    for source in range(N_SOURCES):
        videos.append((video_row(f"{source:02d}"), spelt(source, 9)))
        for method in (100, 200):
            stem, number = f"{method}_{source:02d}", method + source
            videos.append((fake_of(stem, f"{source:02d}"), spelt(number, 11)))
    videos += [(video_row("alone"), spelt(50, 13)), (fake_row("of nobody"), spelt(51, 12))]
    return write_store(tmp_path_factory.mktemp("faces"), videos, SETTINGS)


def global_batches(store, epoch: int, world_size: int, section=PAIRED, **options) -> list[list]:
    """(video, rank) of the faces of every global batch of an epoch."""
    sample = sample_faces(store.summaries(), "train", section)
    workers = [
        FacesReader(store, sample, section, rank=rank, world_size=world_size, **options).epoch(
            epoch
        )
        for rank in range(world_size)
    ]
    batches = []
    for shares in zip(*workers, strict=True):
        images = np.concatenate([share.images for share in shares])
        batches.append([tuple(pixel) for pixel in images[:, 0, 0, :2].tolist()])
    return batches


def source_of(video: int) -> int:
    return video % 100


@pytest.mark.parametrize(("world_size", "lanes"), [(1, 1), (2, 2), (4, 4), (1, 4), (2, 4)])
def test_every_paired_fake_of_a_batch_has_a_face_of_its_source(store, world_size, lanes):
    batches = global_batches(store, 0, world_size, lanes=lanes)
    assert batches
    for batch in batches:
        fakes = Counter(source_of(v) for v, _ in batch if v >= 100)
        reals = Counter(v for v, _ in batch if v < N_SOURCES)
        assert fakes == reals


def test_an_epoch_has_the_whole_sample_but_for_a_batch(store):
    seen = Counter(face for batch in global_batches(store, 0, 1) for face in batch)
    sample = sample_faces(store.summaries(), "train", PAIRED)
    assert sum(seen.values()) > len(sample) - PAIRED.batch_size
    assert max(seen[(source, rank)] for source in range(N_SOURCES) for rank in range(9)) <= 2


def test_with_workers_lost_every_global_batch_is_the_same(store):
    whole = global_batches(store, 1, 4, lanes=4)
    assert global_batches(store, 1, 2, lanes=4) == whole
    assert global_batches(store, 1, 1, lanes=4) == whole


def test_epochs_differ(store):
    assert global_batches(store, 0, 1) != global_batches(store, 1, 1)


def test_a_training_without_a_pair_is_refused(tmp_path):
    videos = [(video_row("r"), spelt(0, 9)), (fake_row("f"), spelt(1, 9))]
    lonely = write_store(tmp_path, videos, SETTINGS)
    with pytest.raises(ManifestError, match=r"batches.pairing: no fake video of split train"):
        sample_faces(lonely.summaries(), "train", PAIRED)


def test_the_videos_in_pairs_are_counted():
    videos = [video_row("a"), video_row("b"), fake_of("x", "a"), fake_of("y", "a"), fake_row("z")]
    videos += [video_row("t", split="test"), fake_of("u", "t", split="test")]
    assert str(count_pairs(videos_table(videos))) == (
        "batches.pairing: 2 of 3 fake videos of split train have the video they were made from in it; "
        "1 of 2 real ones have no fake"
    )
