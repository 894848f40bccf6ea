"""Extraction on Ray: every video of a manifest done once, in shards that can be read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dfray.config import FacesSection
from dfray.faces.crop_codec import decode_images
from dfray.faces.extract import Allowance, ShardExtractor, extract_faces
from dfray.faces.shards import FacesStore
from dfray.faces.sources import VideoFile
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import VideoExtractor
from dfray.tables import FACES, SUMMARIES
from tests.helpers.clips import moving_noise, write_clip
from tests.helpers.corpus import clip_path, videos_of, write_corpus

SETTINGS = FacesSection(size_px=64)
SPLITS = ("train", "train", "val", "test")


def extract(
    videos: pa.Table, out: Path | str, settings: FacesSection = SETTINGS, **how
) -> pa.Table:
    """All that `extract_faces` hands on, on Ray."""
    dataset = extract_faces(videos, str(out), settings, **how)
    tables = list(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    return pa.concat_tables(tables) if tables else SUMMARIES.schema.empty_table()


def with_quota(videos: pa.Table, quota: int) -> pa.Table:
    return videos.append_column("quota", pa.array([quota] * videos.num_rows, pa.int32()))


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = folder.rglob("*.*")
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def by_key(faces: pa.Table) -> dict[tuple, bytes]:
    """(video, frame, face) -> pixels; fails if a face is there twice."""
    keys = zip(
        *(faces[c].to_pylist() for c in ("video_id", "frame_index", "face_index")), strict=True
    )
    found = dict(zip(keys, faces["image"].to_pylist(), strict=True))
    assert len(found) == faces.num_rows
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> pa.Table:
    """Ten clips of a head and three faces each, one without a face and one that is no video."""
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, 10, splits=SPLITS)
    write_clip(clip_path(root, 10, "train"), moving_noise(6, 320, 240), fps=2)
    clip_path(root, 11, "train").write_text("This is no video.\n" * 500)
    return videos_of(root)


@pytest.fixture(scope="module")
def store(ray_session, corpus, tmp_path_factory) -> FacesStore:
    out = tmp_path_factory.mktemp("faces")
    handed_on = SUMMARIES.conform(extract(corpus, out, workers=2))
    store = FacesStore(str(out))
    assert handed_on.sort_by("video_id") == store.summaries().sort_by("video_id")
    return store


@pytest.mark.ray
class TestTheStore:
    def test_every_video_has_its_summary(self, corpus, store):
        summaries = {row["video_id"]: row for row in store.summaries().to_pylist()}
        assert sorted(summaries) == corpus["video_id"].sort().to_pylist()
        assert Counter(row["status"] for row in summaries.values()) == {
            "ok": 10,
            "no_face": 1,
            "unreadable": 1,
        }
        assert {row["n_faces"] for row in summaries.values() if row["status"] == "ok"} == {3}
        for video in corpus.to_pylist():
            carried = video.keys() & set(SUMMARIES.names)
            assert {k: summaries[video["video_id"]][k] for k in carried} == {
                k: video[k] for k in carried
            }

    def test_every_sampled_frame_has_its_outcome(self, store):
        outcomes = store.outcomes()
        keys = zip(
            outcomes["video_id"].to_pylist(), outcomes["frame_index"].to_pylist(), strict=True
        )
        frames = {row["video_id"]: row["n_frames"] for row in store.summaries().to_pylist()}
        assert sorted(keys) == sorted((v, k) for v, n in frames.items() for k in range(n))
        assert sum(outcomes["n_faces"].to_pylist()) == 30

    def test_the_faces_of_a_video_lie_together_where_its_summary_says(self, store):
        for row in store.summaries().to_pylist():
            if row["n_faces"] == 0:
                continue
            shard = FACES.read(store.shard_uri(row["shard"]))
            ids = shard["video_id"].to_pylist()
            first, count = row["first_row"], row["n_faces"]
            assert [i for i, v in enumerate(ids) if v == row["video_id"]] == list(
                range(first, first + count)
            )
            assert shard["frame_index"].to_pylist()[first : first + count] == [0, 1, 2]
            assert set(shard["split"].to_pylist()) == {row["split"]}

    def test_the_pixels_are_those_that_the_extractor_finds(self, corpus, store):
        video = corpus.to_pylist()[0]
        (row,) = (r for r in store.summaries().to_pylist() if r["video_id"] == video["video_id"])
        shard = FACES.read(store.shard_uri(row["shard"]))
        kept = decode_images(shard.slice(row["first_row"], row["n_faces"]))
        alone = VideoExtractor(SETTINGS)
        found = [
            face.image for frame in alone.extract(VideoFile(video["uri"])) for face in frame.faces
        ]
        alone.close()
        np.testing.assert_array_equal(kept, np.stack(found))

    def test_a_second_run_extracts_nothing_and_changes_no_file(self, corpus, store):
        before = contents(Path(store.uri))
        assert extract(corpus, store.uri).num_rows == 0
        assert contents(Path(store.uri)) == before

    def test_a_manifest_that_grew_costs_the_new_videos_only(self, corpus, tmp_path):
        extract(corpus.slice(0, 4), tmp_path)
        before = contents(tmp_path)
        new = extract(corpus.slice(0, 6), tmp_path)
        assert sorted(new["video_id"].to_pylist()) == corpus["video_id"].slice(4, 2).to_pylist()
        assert contents(tmp_path).items() >= before.items()

    def test_faces_are_handed_on_as_written_and_read_back_alike(self, corpus, store, tmp_path):
        """Two a video, from a fresh extraction and from one that is committed."""
        videos = with_quota(corpus, 2)
        fresh = by_key(FACES.conform(extract(videos, tmp_path, emit="faces")))
        assert {(frame, face) for _, frame, face in fresh} == {(0, 0), (1, 0)}
        assert len(fresh) == 20
        committed = by_key(extract(videos, store.uri, emit="faces"))
        assert committed == fresh
        counts = (
            faces.summaries().sort_by("video_id")["n_faces"].to_pylist()
            for faces in (FacesStore(str(tmp_path)), store)
        )
        assert next(counts) == next(counts)


class TestAllowance:
    @pytest.mark.parametrize("quota", [0, 1, 3, 7, 10, 12])
    @pytest.mark.parametrize("frames", [1, 10])
    def test_exactly_the_quota_passes_if_there_are_as_many(self, quota, frames):
        allowance = Allowance(quota, frames)
        taken = [k for k in range(frames) if allowance.take(k)]
        assert len(taken) == min(quota, frames)

    def test_they_are_spread_evenly_over_the_time(self):
        allowance = Allowance(5, 100)
        taken = [k for k in range(100) if allowance.take(k)]
        assert np.diff(taken).tolist() == [20] * 4

    def test_frames_without_a_face_are_made_up_for_later(self):
        allowance = Allowance(4, 8)
        assert [k for k in (4, 5, 6, 7) if allowance.take(k)] == [4, 5, 6, 7]

    def test_several_faces_of_a_frame_count_each(self):
        allowance = Allowance(6, 3)
        assert [k for k in (0, 0, 0, 1, 1, 1, 2, 2, 2) if allowance.take(k)] == [0, 0, 1, 1, 2, 2]

    def test_a_video_longer_than_expected_passes_no_more(self):
        allowance = Allowance(4, 4)
        assert [k for k in range(20) if allowance.take(k)] == [0, 1, 2, 3]


class TestShardsThatGrew:
    """A shard far larger than was planned is committed in parts."""

    # Faces of a few clips fill this shard, which no recipe may ask for.
    SETTINGS = FacesSection(size_px=256).model_copy(update={"shard_mb": 0.01})

    @pytest.fixture(scope="class")
    @staticmethod
    def videos(tmp_path_factory) -> pa.Table:
        return with_quota(write_corpus(tmp_path_factory.mktemp("heads"), 3, seconds=6), 5)

    @pytest.fixture(scope="class")
    @classmethod
    def extractor(cls) -> Iterator[SupervisedExtractor]:
        extractor = SupervisedExtractor(cls.SETTINGS)
        yield extractor
        extractor.close()

    @pytest.fixture
    def run(
        self, extractor: SupervisedExtractor, videos: pa.Table, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[Path], list[pa.Table]]:
        """Extract the shard into a folder, and return the tables handed on, of at most 4 rows."""
        for module in ("extract", "shard_writer"):
            monkeypatch.setattr(f"dfray.faces.{module}.ROW_GROUP", 4)

        def extracted(out: Path) -> list[pa.Table]:
            store = FacesStore(str(out))
            store.claim(self.SETTINGS)
            stage = ShardExtractor(
                store, self.SETTINGS, "faces", build_extractor=lambda _: extractor
            )
            return list(stage.extract("train-x", videos))

        return extracted

    def test_every_part_is_whole_and_no_video_is_cut(self, run, tmp_path):
        run(tmp_path)
        store = FacesStore(str(tmp_path))
        summaries = store.summaries()
        assert sorted(summaries["shard"].to_pylist()) == ["train-x.0", "train-x.1", "train-x.2"]
        for row in summaries.to_pylist():
            faces = FACES.read(store.shard_uri(row["shard"]))
            assert row["first_row"] == 0
            assert faces["video_id"].to_pylist() == [row["video_id"]] * row["n_faces"]

    def test_what_is_handed_on_does_not_depend_on_how_much_was_committed(self, run, tmp_path):
        """Ray drops the first blocks of a task that is run again, as it has handed them on already."""
        fresh = run(tmp_path)
        assert [table.num_rows for table in fresh] == [4, 4, 4, 3]
        for part in ("train-x.2", "train-x.1"):
            (tmp_path / "videos" / f"{part}.parquet").unlink()
            again = run(tmp_path)
            assert [table.num_rows for table in again] == [table.num_rows for table in fresh]
            assert all(a == b for a, b in zip(again, fresh, strict=True))


@pytest.mark.ray
def test_everything_may_lie_on_s3(ray_session, bucket, tmp_path):
    import s3fs

    local = write_corpus(tmp_path / "clips", 3)
    s3fs.S3FileSystem().put(str(tmp_path / "clips"), f"{bucket}/clips", recursive=True)
    videos = videos_of(f"{bucket}/clips")
    assert videos["video_id"].to_pylist() == local["video_id"].to_pylist()
    extract(videos, f"{bucket}/faces")
    extract(local, tmp_path / "faces")
    quota = with_quota(videos, 3)
    there = by_key(extract(quota, f"{bucket}/faces", emit="faces"))
    assert len(there) == 9
    assert there == by_key(extract(quota, tmp_path / "faces", emit="faces"))
