"""The reader: every chosen face once an epoch, shuffled anew, shared equally by the workers."""

import time

import numpy as np
import pytest

from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import BatchesSection, FacesSection
from dfray.errors import ManifestError
from dfray.faces.shard_file import ShardFile
from tests.helpers.rows import fake_row, video_row, write_store

SETTINGS = FacesSection(size_px=8)


def numbered(start: int, count: int) -> list[np.ndarray]:
    """Crops whose first pixels spell their number."""
    images = []
    for number in range(start, start + count):
        image = np.zeros((8, 8, 3), np.uint8)
        image[0, 0] = (number // 256, number % 256, 0)
        images.append(image)
    return images


def number_of(images: np.ndarray) -> list[int]:
    return (images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]).tolist()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    videos = []
    for i in range(40):
        make = video_row if i % 2 else fake_row
        videos.append((make(f"{i:02d}"), numbered(i * 10, 10)))
    return write_store(tmp_path_factory.mktemp("faces"), videos, SETTINGS)


def reader(store, *, batch_size=32, shuffle=64, **options) -> FacesReader:
    section = BatchesSection(batch_size=batch_size, shuffle_faces=shuffle, sampling="all")
    sample = sample_faces(store.summaries(), "train", section)
    return FacesReader(store, sample, section, **options)


def seen(batches) -> list[int]:
    return [number for batch in batches for number in number_of(batch.images)]


def test_an_epoch_gives_whole_batches_and_no_face_twice(store):
    batches = list(reader(store).epoch(0))
    assert [len(b.labels) for b in batches] == [32] * 12
    numbers = seen(batches)
    assert len(set(numbers)) == len(numbers) == 384


def test_lanes_of_one_worker_never_read_a_file_at_once(store, monkeypatch):
    """Arrow's reader of a file is for one thread; two have hung a run that had lost a worker."""
    inside, most = 0, 0

    class Watched:
        def __init__(self, uri: str) -> None:
            self.file = ShardFile(uri)

        def read_row_group(self, *arguments, **options):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            table = self.file.read_row_group(*arguments, **options)
            inside -= 1
            return table

    monkeypatch.setattr("dfray.batches.reader.ShardFile", Watched)
    alone = seen(reader(store, lanes=4).epoch(0))
    assert most == 1
    assert len(set(alone)) == len(alone) == 384


def test_labels_go_with_their_faces(store):
    for batch in reader(store).epoch(0):
        expected = [1 - (number // 10) % 2 for number in number_of(batch.images)]
        assert batch.labels.tolist() == expected


def test_epochs_differ_and_are_repeatable(store):
    first, second = (seen(reader(store).epoch(e)) for e in (0, 1))
    assert first != second
    assert first == seen(reader(store).epoch(0))
    assert first != seen(reader(store, seed=1).epoch(0))


def test_batches_mix_videos(store):
    batch = next(iter(reader(store, shuffle=256).epoch(0)))
    assert len({number // 10 for number in number_of(batch.images)}) > 10


@pytest.mark.parametrize("world_size", [2, 4])
def test_workers_share_an_epoch_equally_and_disjointly(store, world_size):
    shares = [
        seen(reader(store, rank=rank, world_size=world_size).epoch(0)) for rank in range(world_size)
    ]
    assert {len(share) for share in shares} == {384 // world_size}
    assert len(set().union(*map(set, shares))) == 384


def global_batches(store, epoch: int, **options) -> list[list[int]]:
    """The numbers of every global batch of an epoch, rank after rank."""
    size = options["world_size"]
    workers = [reader(store, rank=rank, **options).epoch(epoch) for rank in range(size)]
    return [
        [number for share in shares for number in number_of(share.images)]
        for shares in zip(*workers, strict=True)
    ]


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_with_workers_lost_every_global_batch_is_the_same(store, world_size):
    options = {"batch_size": 48, "lanes": 4, "seed": 5}
    whole = global_batches(store, 1, world_size=4, **options)
    assert [len(batch) for batch in whole] == [48] * 8
    assert global_batches(store, 1, world_size=world_size, **options) == whole


@pytest.mark.parametrize("world_size", [1, 3])
def test_in_order_gives_every_face_once_in_one_order(store, world_size):
    numbers = []
    for rank in range(world_size):
        numbers += seen(reader(store, rank=rank, world_size=world_size, batch_size=30).in_order())
    assert numbers == seen(reader(store, batch_size=30).in_order())
    assert sorted(numbers) == list(range(400))


def test_more_workers_than_faces_leave_some_without(tmp_path):
    videos = [(video_row("a"), numbered(0, 1)), (fake_row("b"), numbered(1, 1))]
    few = write_store(tmp_path, videos, SETTINGS)
    shares = [
        seen(reader(few, rank=rank, world_size=3, batch_size=3).in_order()) for rank in range(3)
    ]
    assert [len(share) for share in shares] == [1, 1, 0]


def test_a_sample_smaller_than_a_batch_is_refused(store):
    with pytest.raises(ManifestError, match=r"400 faces, less than a batch of 512"):
        next(reader(store, batch_size=512).epoch(0))


def test_a_store_on_s3_gives_the_same_batches(bucket):
    videos = [(fake_row("a"), numbered(0, 20)), (video_row("b"), numbered(20, 20))]
    remote = write_store(f"{bucket}/faces", videos, SETTINGS)
    assert sorted(seen(reader(remote, batch_size=8).epoch(0))) == list(range(40))
