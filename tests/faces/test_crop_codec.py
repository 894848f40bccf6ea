"""Crops come out of their rows as they went in: exactly, or nearly under JPEG."""

import numpy as np
import pyarrow as pa
import pytest

from dfray.config import FacesSection
from dfray.errors import SchemaError
from dfray.faces.crop_codec import decode_images
from dfray.faces.shard_file import iter_row_groups
from dfray.faces.shards import ROW_GROUP
from tests.helpers.rows import video_row, write_store

RNG = np.random.default_rng(0)


def crops(count: int, size: int = 16) -> list[np.ndarray]:
    return list(RNG.integers(0, 256, (count, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_pixels_come_back_as_they_were(tmp_path, compression):
    settings = FacesSection(size_px=16, storage=compression)
    images = crops(ROW_GROUP + 5)
    store = write_store(tmp_path, [(video_row("a"), images)], settings)
    groups = [decode_images(group) for group in iter_row_groups(store.shards("train")[0])]
    assert [len(group) for group in groups] == [ROW_GROUP, 5]
    np.testing.assert_array_equal(np.concatenate(groups), np.stack(images))


def test_jpeg_comes_back_nearly(tmp_path):
    settings = FacesSection(size_px=64, storage="jpeg")
    smooth = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (1, 64, 3))
    store = write_store(tmp_path, [(video_row("a"), [smooth])], settings)
    (group,) = iter_row_groups(store.shards("train")[0])
    assert np.abs(decode_images(group)[0].astype(int) - smooth).mean() < 2


def test_a_slice_of_a_table_decodes_to_its_own_rows(tmp_path):
    images = crops(10)
    store = write_store(tmp_path, [(video_row("a"), images)], FacesSection(size_px=16))
    (group,) = iter_row_groups(store.shards("train")[0])
    np.testing.assert_array_equal(decode_images(group.slice(3, 2)), np.stack(images[3:5]))


def test_a_crop_of_another_size_than_its_row_says_is_refused(tmp_path):
    store = write_store(tmp_path, [(video_row("a"), crops(2))], FacesSection(size_px=16))
    (group,) = iter_row_groups(store.shards("train")[0])
    column = group.column_names.index("size_px")
    wrong = group.set_column(column, "size_px", group["size_px"].combine_chunks().fill_null(0))
    wrong = wrong.set_column(column, "size_px", pa.array([17, 17], pa.int16()))
    with pytest.raises(SchemaError, match="17 x 17"):
        decode_images(wrong)
