"""A flipped bit in a store is noticed, when its page is read or when the store is verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import BatchesSection, FacesSection
from dfray.errors import DamagedShardError, StorageError
from dfray.evaluation.score import FaceScorer, plan_tasks
from dfray.faces.shard_file import ShardFile, iter_row_groups
from dfray.faces.shards import FacesStore, read_boxes
from dfray.faces.verification import verify
from dfray.faces.view import FacesView
from dfray.tables import FACES
from tests.helpers.rows import fake_row, video_row, videos_table, write_store

SETTINGS = FacesSection(size_px=16)
RNG = np.random.default_rng(0)
VIDEOS = [video_row("a"), fake_row("b"), video_row("c", split="test")]
SHARD = f"train-{'0' * 12}.0"


def written(folder: Path | str) -> FacesStore:
    images = RNG.integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
    return write_store(folder, [(video, list(images)) for video in VIDEOS], SETTINGS)


@pytest.fixture
def store(tmp_path: Path) -> FacesStore:
    return written(tmp_path / "faces" / "key")


def flip(uri: str, place: float) -> None:
    """Flip a bit of a file, at a share of its length."""
    content = bytearray(Path(uri).read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    Path(uri).write_bytes(content)


def page_of(uri: str, column: str) -> float:
    """Return the place of the middle of a column's pages in the first row group, as a share of the file."""
    metadata = pq.ParquetFile(uri).metadata.row_group(0)
    names = [
        metadata.column(k).path_in_schema.partition(".")[0] for k in range(metadata.num_columns)
    ]
    chunk = metadata.column(names.index(column))
    return (chunk.data_page_offset + chunk.total_compressed_size / 2) / Path(uri).stat().st_size


def without_checksums(store: FacesStore) -> None:
    """Write the shards of a store as an earlier dfray did."""
    for name in store.committed():
        faces = FACES.read(store.shard_uri(name))
        pq.write_table(faces, store.shard_uri(name), row_group_size=64, compression="lz4")
        summaries = store.shard_summaries(name).drop_columns("shard_sha256")
        pq.write_table(summaries, store.table_uri("videos", name))


def damaged(store: FacesStore) -> dict[str, str]:
    found = [shard for shard in verify(store, store.committed()) if shard]
    return {shard.name: shard.reason for shard in found}


@pytest.mark.parametrize("column", ["image", "video_id", "box", "encoding"])
def test_a_flipped_bit_of_a_page_ends_whatever_reads_it(store: FacesStore, column: str) -> None:
    uri = store.shard_uri(SHARD)
    flip(uri, page_of(uri, column))
    told = rf"{SHARD}.parquet, of 2 video\(s\) such as toy/camera/a, is damaged: .*--verify"
    with pytest.raises(DamagedShardError, match=told):
        list(iter_row_groups(uri, [column]))
    assert damaged(store).keys() == {SHARD}


def test_training_scoring_and_tracks_end_with_the_shard_and_the_command_that_mends_it(
    store: FacesStore,
) -> None:
    uri = store.shard_uri(SHARD)
    section = BatchesSection(batch_size=4)
    reader = FacesReader(store, sample_faces(store.summaries(), "train", section), section)
    list(reader.epoch(0))
    for column in ("image", "box"):
        flip(uri, page_of(uri, column))
    told = rf"{SHARD}.* of 2 video\(s\) .* damaged: .*`dfray extract RECIPE --verify`"
    with pytest.raises(DamagedShardError, match=told):
        list(
            FacesReader(store, sample_faces(store.summaries(), "train", section), section).epoch(0)
        )
    scorer = object.__new__(FaceScorer)
    with pytest.raises(DamagedShardError, match=told):
        [scorer.read(task) for task in plan_tasks(store, "train")]
    with pytest.raises(DamagedShardError, match=told):
        read_boxes(store, "train")
    assert read_boxes(store, "test").num_rows == 70


def test_a_flipped_bit_anywhere_is_found_by_verifying(store: FacesStore) -> None:
    assert damaged(store) == {}
    uri = store.shard_uri(SHARD)
    whole = Path(uri).read_bytes()
    for place in np.linspace(0, 1, 60):
        flip(uri, float(place))
        assert "SHA-256" in damaged(store)[SHARD]
        Path(uri).write_bytes(whole)
    assert damaged(store) == {}


@pytest.mark.parametrize("folder", ["videos", "outcomes"])
def test_a_damaged_commit_record_or_outcome_is_told_by_its_name(
    store: FacesStore, folder: str
) -> None:
    uri = store.table_uri(folder, SHARD)
    flip(uri, page_of(uri, "video_id"))
    with pytest.raises(DamagedShardError, match=rf"{uri}.*damaged.*--verify"):
        (store.outcomes if folder == "outcomes" else store.summaries)()
    assert damaged(store).keys() == {SHARD}


def test_a_shard_that_is_gone_or_cut_off_is_damaged(store: FacesStore) -> None:
    uri = Path(store.shard_uri(SHARD))
    uri.write_bytes(uri.read_bytes()[:100])
    with pytest.raises(DamagedShardError, match="is damaged"):
        ShardFile(str(uri))
    uri.unlink()
    with pytest.raises(DamagedShardError, match="the file is gone"):
        ShardFile(str(uri))
    assert "is gone" in damaged(store)[SHARD]


def test_a_store_that_does_not_answer_is_no_damage(
    store: FacesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("dfray.faces.shard_file.pq.ParquetFile", refuse)
    with pytest.raises(StorageError, match="no route") as failed:
        ShardFile(store.shard_uri(SHARD))
    assert not isinstance(failed.value, DamagedShardError)


def test_a_removed_shard_leaves_its_videos_missing_and_no_others(store: FacesStore) -> None:
    store.remove(SHARD)
    store.remove(SHARD)
    assert store.summaries()["video_id"].to_pylist() == ["toy/camera/c"]
    assert not Path(store.shard_uri(SHARD)).exists()
    assert store.outcomes().num_rows == 70


def test_shards_of_an_earlier_dfray_are_read_and_that_is_said_once(
    store: FacesStore, capsys: pytest.CaptureFixture[str]
) -> None:
    view = FacesView(store.uri, videos_table(VIDEOS))
    view.note_unchecked()
    assert capsys.readouterr().err == ""
    without_checksums(store)
    for _ in range(2):
        view.note_unchecked()
    assert capsys.readouterr().err.count("2 of 2 shards") == 1
    assert ShardFile(store.shard_uri(SHARD)).read().num_rows == 140
    assert damaged(store) == {}
    flip(store.shard_uri(SHARD), 1)
    assert damaged(store).keys() == {SHARD}


def test_a_store_on_s3_is_verified_too(bucket: str) -> None:
    store = written(f"{bucket}/faces/key")
    assert damaged(store) == {}
    (name, *_) = store.committed()
    store.remove(name)
    assert damaged(store) == {}
    assert name not in store.committed()
