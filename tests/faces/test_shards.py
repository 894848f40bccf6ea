"""Shards: visible only once committed, lossless, bound to the settings that made them."""

import numpy as np
import pytest

from dfray import storage
from dfray.config import FacesSection
from dfray.errors import StorageError, UserError
from dfray.faces.crop_codec import decode_images
from dfray.faces.shard_file import ShardFile, iter_row_groups
from dfray.faces.shard_writer import ShardWriter
from dfray.faces.shards import FacesStore
from tests.helpers.rows import face_row, video_row, write_store

RNG = np.random.default_rng(0)


def crops(count: int, size: int = 16) -> list[np.ndarray]:
    return list(RNG.integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def test_nothing_is_visible_before_the_commit_and_nothing_is_left_after_a_failure(tmp_path):
    settings = FacesSection(size_px=16)
    store = FacesStore(str(tmp_path))
    store.claim(settings)
    writer = ShardWriter(store, "train-x.0", settings)
    for frame, image in enumerate(crops(200)):
        writer.add_face(face_row(video_row("a"), image, frame, settings))
    assert store.summaries().num_rows == 0
    writer.close()
    assert storage.list_files(str(tmp_path / "faces")) == []


def test_a_writer_that_has_outlived_its_run_may_not_commit(tmp_path):
    settings = FacesSection(size_px=16)
    old, new = FacesStore(str(tmp_path)), FacesStore(str(tmp_path))
    old.claim(settings)
    with ShardWriter(old, "train-x.0", settings) as writer:
        writer.add_face(face_row(video_row("a"), crops(1)[0], 0, settings))
        new.claim(settings)
        with pytest.raises(StorageError, match="Another run that began later"):
            writer.commit()
    assert new.summaries().num_rows == 0


def test_faces_without_their_commit_record_do_not_exist(tmp_path):
    store = write_store(tmp_path, [(video_row("a"), crops(3))], FacesSection(size_px=16))
    (tmp_path / "videos" / f"train-{'0' * 12}.0.parquet").unlink()
    assert store.summaries().num_rows == store.outcomes().num_rows == 0
    assert store.shards("train") == []


def test_summaries_say_where_the_faces_of_a_video_are(tmp_path):
    settings = FacesSection(size_px=16)
    first, second = crops(70), crops(3)
    store = write_store(
        tmp_path,
        [(video_row("a"), first), (video_row("none"), []), (video_row("b"), second)],
        settings,
    )
    row = {r["video_id"]: r for r in store.summaries().to_pylist()}["toy/camera/b"]
    table = ShardFile(store.shard_uri(row["shard"])).read()
    found = decode_images(table.slice(row["first_row"], row["n_faces"]))
    np.testing.assert_array_equal(found, np.stack(second))


def test_splits_lie_in_shards_of_their_own(tmp_path):
    store = write_store(
        tmp_path,
        [(video_row("a"), crops(2)), (video_row("b", split="test"), crops(2))],
        FacesSection(size_px=16),
    )
    assert store.summaries(["test"])["video_id"].to_pylist() == ["toy/camera/b"]
    assert len(store.shards("test")) == 1
    assert store.fingerprint("test") != store.fingerprint("train")


def test_other_settings_are_refused_with_both_values(tmp_path):
    store = write_store(tmp_path, [(video_row("a"), crops(2))], FacesSection(size_px=16))
    store.claim(FacesSection(size_px=16, shard_mb=1, stall_limit_s=5))
    with pytest.raises(UserError, match=r"faces.rate_fps 1.0 \(now 2.0\)"):
        store.claim(FacesSection(size_px=16, rate_fps=2))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"align": "five_points"}, r"faces.align 'none' \(now 'five_points'\)"),
        ({"keep": "largest"}, r"faces.keep 'all' \(now 'largest'\)"),
        ({"frames": 32}, r"faces.frames None \(now 32\)"),
    ],
)
def test_younger_settings_are_refused_in_either_direction(tmp_path, changed, words):
    plain, other = FacesSection(size_px=16), FacesSection(size_px=16, **changed)
    store = write_store(tmp_path / "a", [(video_row("a"), crops(2))], plain)
    with pytest.raises(UserError, match=words):
        store.claim(other)
    turned = write_store(tmp_path / "b", [(video_row("a"), crops(2))], other)
    turned.claim(other)
    with pytest.raises(UserError, match=next(iter(changed))):
        turned.claim(plain)


def test_a_store_on_s3_reads_the_same(bucket):
    images = crops(3)
    store = write_store(f"{bucket}/run", [(video_row("a"), images)], FacesSection(size_px=16))
    (group,) = iter_row_groups(store.shards("train")[0])
    np.testing.assert_array_equal(decode_images(group), np.stack(images))
    assert store.summaries().num_rows == 1
