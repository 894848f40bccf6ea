"""Faces to blend with themselves: real ones, each with its landmarks."""

import numpy as np
import pytest

from dfray.batches.reader import FacesReader
from dfray.batches.sample import require_batch, sample_faces
from dfray.config import BatchesSection, FacesSection, SelfBlendSection
from dfray.errors import ManifestError, SchemaError
from dfray.faces.crop_codec import decode_landmarks
from dfray.tables import FACES
from tests.batches.test_reader import number_of, numbered
from tests.helpers.rows import face_row, fake_row, video_row, write_store

SETTINGS = FacesSection(size_px=8, landmarks=True)
SECTION = BatchesSection(batch_size=32, shuffle_faces=64, self_blend=SelfBlendSection())


def spelling(number: int) -> np.ndarray | None:
    """Landmarks, in px of the crop, that spell a face's number; every ninth face has none."""
    if number % 9 == 0:
        return None
    return np.full((468, 2), number / 10, np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Videos 0, 1, ... of ten faces each, the odd ones fake."""
    videos = [
        ((fake_row if i % 2 else video_row)(f"{i:02d}"), numbered(i * 10, 10)) for i in range(20)
    ]
    return write_store(
        tmp_path_factory.mktemp("faces"),
        videos,
        SETTINGS,
        lambda video, frame: spelling(int(video["video_id"][-2:]) * 10 + frame),
    )


def reader(store, section=SECTION, **options) -> FacesReader:
    return FacesReader(store, sample_faces(store.summaries(), "train", section), section, **options)


def seen(batches) -> list[int]:
    return [number for batch in batches for number in number_of(batch.images)]


def has_landmarks(number: int) -> bool:
    return number % 9 != 0


REAL = [n for n in range(200) if n // 10 % 2 == 0]


def test_only_real_faces_are_read_half_a_batch_at_a_step(store):
    batches = list(reader(store).epoch(0))
    assert [len(batch.labels) for batch in batches] == [16] * (100 // 16)
    assert not any(batch.labels.any() for batch in batches)
    assert set(seen(batches)) <= set(REAL)


def test_landmarks_go_with_their_faces_in_sides_of_the_crop(store):
    for batch in [*reader(store).epoch(0), *reader(store).in_order()]:
        assert batch.landmarks.shape == (len(batch.labels), 468, 2)
        assert batch.landmarks.dtype == np.float32
        expected = np.array(number_of(batch.images)) / 10 / 8
        np.testing.assert_allclose(batch.landmarks[:, 467, 1], expected, rtol=1e-6)


def test_a_face_without_landmarks_gives_its_place_to_another(store):
    numbers = seen(reader(store).epoch(0))
    assert all(map(has_landmarks, numbers))
    assert len(set(numbers)) > 75
    assert numbers == seen(reader(store).epoch(0))


@pytest.mark.parametrize("world_size", [1, 2])
def test_in_order_leaves_faces_without_landmarks_out(store, world_size):
    numbers = []
    for rank in range(world_size):
        numbers += seen(reader(store, rank=rank, world_size=world_size).in_order())
    assert sorted(numbers) == list(filter(has_landmarks, REAL))
    assert numbers == seen(reader(store).in_order())


def test_other_recipes_read_no_landmarks(store):
    plain = BatchesSection(batch_size=32, sampling="all")
    assert next(reader(store, plain).epoch(0)).landmarks is None


def test_faces_without_any_landmarks_are_refused(tmp_path):
    images = numbered(0, 10)
    bare = write_store(tmp_path, [(video_row("a"), images)], FacesSection(size_px=8))
    with pytest.raises(ManifestError, match=r"train has no real face with landmarks.*true"):
        sample_faces(bare.summaries(), "train", SECTION)


def test_fakes_alone_are_refused(tmp_path):
    fakes = [(fake_row("a"), numbered(0, 10))]
    store = write_store(tmp_path, fakes, SETTINGS, lambda video, frame: spelling(1))
    with pytest.raises(ManifestError, match="no real face with landmarks"):
        sample_faces(store.summaries(), "train", SECTION)


def test_a_sample_smaller_than_half_a_batch_is_refused(store):
    large = SECTION.model_copy(update={"batch_size": 202})
    with pytest.raises(ManifestError, match="100 faces, less than a batch of 101"):
        require_batch(sample_faces(store.summaries(), "train", large), large)


def test_landmarks_are_written_and_read_back(store):
    (shard,) = store.shards("train")
    table = FACES.read(shard)
    found = decode_landmarks(table.slice(8, 4)) * 8
    assert np.isfinite(found).all(axis=(1, 2)).tolist() == [True, False, True, True]
    np.testing.assert_allclose(found[[0, 2, 3], 0, 0], [0.8, 1.0, 1.1], rtol=1e-6)


def test_another_number_of_landmarks_is_refused():
    row = face_row(video_row(), np.zeros((8, 8, 3), np.uint8), 0, SETTINGS, np.zeros((5, 2)))
    with pytest.raises(SchemaError, match="468 x 2"):
        decode_landmarks(FACES.from_rows([row]))
