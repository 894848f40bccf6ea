"""The stream: trains while the extraction runs, within its quotas, with workers in step.

Ray's workers import this module, so that it imports torch only where a driver needs it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dfray import storage
from dfray.batches.labels import LabelScheme
from dfray.batches.reader import Batch
from dfray.batches.stream import FacesStream, with_stream_quotas
from dfray.config import BatchesSection, FacesSection, Recipe
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.errors import ResourceError
from dfray.faces.extract import BLOCK_BYTES, extract_faces
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import FacesStore
from dfray.progress import Counts, counting_actor
from dfray.resources import Need
from dfray.run_folder import RunFolder
from dfray.session import require_resources
from dfray.tables import FACES, SUMMARIES
from tests.helpers.corpus import write_corpus, write_crowds
from tests.helpers.processes import wait_for
from tests.helpers.proxy import Fault, FaultProxy
from tests.helpers.rows import face_row, fake_row, video_row, videos_table
from tests.helpers.toy import toy_recipe


class TestQuotas:
    FACES = FacesSection(rate_fps=2)

    def planned(self, rows: list[dict], **changes) -> tuple[list[int], int]:
        section = BatchesSection(batch_size=8, **changes)
        videos, steps = with_stream_quotas(videos_table(rows), self.FACES, section)
        return videos["quota"].to_pylist(), steps

    def test_fakes_are_balanced_against_the_faces_expected_of_the_real_videos(self):
        rows = [video_row("a", duration_s=10.0), video_row("b", duration_s=5.5)]
        rows += [fake_row(str(i), duration_s=20.0) for i in range(4)]
        assert self.planned(rows) == ([20, 11, 8, 8, 8, 8], 63 // 8)

    def test_all_faces_by_option(self):
        rows = [video_row("a", duration_s=3.0), fake_row("b", duration_s=20.0)]
        assert self.planned(rows, sampling="all") == ([6, 40], 5)

    def test_other_splits_are_extracted_but_not_handed_on(self):
        rows = [
            video_row("a"),
            fake_row("b"),
            video_row("c", split="val"),
            fake_row("d", split="test"),
        ]
        assert self.planned(rows)[0] == [4, 4, 0, 0]


def numbered(count: int) -> pa.Table:
    """FACES of `count` grey crops whose level is their number, and their label its parity."""
    settings = FacesSection(size_px=8)
    rows = [
        face_row(
            (fake_row if i % 2 else video_row)("a"), np.full((8, 8, 3), i, np.uint8), i, settings
        )
        for i in range(count)
    ]
    return FACES.from_rows(rows)


def numbers(batches: list[Batch]) -> list[int]:
    return [int(image[0, 0, 0]) for batch in batches for image in batch.images]


@pytest.mark.ray
class TestFacesStream:
    def batches(self, count: int, *, seed: int = 0, epoch: int = 0, **changes) -> list[Batch]:
        import ray.data

        section = BatchesSection(**{"batch_size": 8, "shuffle_faces": 64} | changes)
        shard = ray.data.from_arrow(numbered(count)).iterator()
        return list(FacesStream(shard, section, world_size=1, seed=seed).epoch(epoch))

    def test_every_face_comes_once_but_the_rest_of_a_batch(self, ray_session):
        batches = self.batches(203)
        assert [len(batch.images) for batch in batches] == [8] * 25
        assert max(Counter(numbers(batches)).values()) == 1
        for batch in batches:
            assert batch.images.dtype == np.uint8
            assert batch.images.shape == (8, 8, 8, 3)
            assert (batch.images[:, 0, 0, 0] % 2 == batch.labels).all()

    def test_faces_are_mixed_as_far_as_the_pool_reaches(self, ray_session):
        mixed = np.array(numbers(self.batches(240)))
        places = np.arange(len(mixed))
        assert np.abs(mixed - places).mean() > 20
        assert (mixed - places).max() <= 64

    def test_the_first_batch_does_not_wait_for_a_whole_pool(self, ray_session):
        assert max(numbers(self.batches(240)[:1])) < 4 * 8

    def test_the_seed_and_the_epoch_tell_the_order(self, ray_session):
        first = numbers(self.batches(96))
        assert numbers(self.batches(96)) == first
        assert numbers(self.batches(96, seed=1)) != first
        assert numbers(self.batches(96, epoch=1)) != first

    def test_labels_follow_the_scheme(self, ray_session):
        import ray.data

        kinds = [video_row("a"), fake_row("b"), fake_row("c", category="RE")]
        rows = [
            face_row(kinds[i % 3], np.full((8, 8, 3), i, np.uint8), i, FacesSection(size_px=8))
            for i in range(24)
        ]
        shard = ray.data.from_arrow(FACES.from_rows(rows)).iterator()
        classes = LabelScheme("category", ("real", "FS", "RE"))
        section = BatchesSection(batch_size=8, shuffle_faces=64)
        stream = FacesStream(shard, section, world_size=1, seed=0, classes=classes)
        for batch in stream.epoch(0):
            assert batch.labels.dtype == np.int64
            assert (batch.images[:, 0, 0, 0] % 3 == batch.labels).all()

    def test_workers_take_equally_many_steps(self, ray_session):
        """Of uneven blocks, as videos give them, each with a slow and a quick worker."""
        import ray

        @ray.remote(num_cpus=1)
        def work(shard: Any, rank: int) -> list[int]:
            section = BatchesSection(batch_size=16, shuffle_faces=32)
            taken = []
            for batch in FacesStream(shard, section, world_size=2, seed=0).epoch(0):
                taken += numbers([batch])
                time.sleep(0.01 * rank)
            return taken

        faces = numbered(250)
        sizes = (3, 40, 1, 1, 90, 5, 60, 50)
        starts = np.cumsum((0, *sizes[:-1]))
        # One after the other: Ray starts a worker for each table of a list.
        first, *others = (
            ray.data.from_arrow(faces.slice(start, size).combine_chunks())
            for start, size in zip(starts, sizes, strict=True)
        )
        shards = first.union(*others).streaming_split(2, equal=True)
        left, right = ray.get([work.remote(shard, rank) for rank, shard in enumerate(shards)])
        assert len(left) == len(right) == 250 // 16 * 8
        assert not set(left) & set(right)


class Timeline(Counts):
    """A counting actor that remembers in which order it was told what."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, Any]] = []

    def add(self, counts: dict[str, float]) -> None:
        super().add(counts)
        self.told.append(counts)

    def note(self, values: dict[str, Any]) -> None:
        super().note(values)
        self.told.append(values)

    def all(self) -> list[dict[str, Any]]:
        return self.told


def with_last_on_s3(videos: pa.Table, recipe: Recipe) -> pa.Table:
    """Return VIDEOS of which the one that is extracted last lies on S3."""
    import boto3

    settings, workers = recipe.faces, recipe.cluster.extract_workers
    nothing = SUMMARIES.schema.empty_table()
    pending, _ = plan_shards(videos, settings, nothing, workers=workers, seed=recipe.seed)
    last = pending[-1].videos["uri"].to_pylist()[-1]
    boto3.client("s3").create_bucket(Bucket="stream")
    storage.put(last, "s3://stream/last.mp4")
    uris = [{last: "s3://stream/last.mp4"}.get(uri, uri) for uri in videos["uri"].to_pylist()]
    return videos.set_column(videos.column_names.index("uri"), "uri", pa.array(uris))


@contextmanager
def held_until_a_step(s3: FaultProxy, timeline: Any) -> Iterator[None]:
    """Have S3 withhold what it has until a step is told, two minutes at most."""
    import ray

    def watch() -> None:
        wait_for(lambda: any("step" in told for told in ray.get(timeline.all.remote())))
        s3.pass_on()

    watching = threading.Thread(target=watch)
    s3.fault = lambda request: Fault(delay_s=120) if request.method == "GET" else None
    watching.start()
    yield
    watching.join()


@pytest.mark.ray
class TestTraining:
    @pytest.fixture(scope="class")
    @staticmethod
    def run(ray_session, s3_proxy, tmp_path_factory):
        """Two epochs, the first streamed, on a cluster that has just the CPUs that are asked for.

        The clip that is extracted last lies on S3, which gives it once the first step has been told.

        Returns:
            recipe, VIDEOS, history, and what was told in its order.
        """
        import ray

        from dfray.training.launch import train_detector

        tmp_path = tmp_path_factory.mktemp("stream")
        splits = ("train", "train", "train", "val")
        recipe = toy_recipe(
            tmp_path, "stream", "training.epochs=2", "faces.rate_fps=2", "cluster.extract_workers=2"
        )
        clips = write_corpus(tmp_path / "clips", 16, seconds=16, splits=splits)
        videos = with_last_on_s3(clips, recipe)
        require_resources(
            [Need("everything", 8)]
        )  # what tests before this one have left ends first
        wait_for(lambda: ray.available_resources().get("CPU") == 8)
        taken = ray.remote(num_cpus=8 - 3)(Counts).remote()  # leaves two trainers and an actor
        ray.get(taken.get.remote())
        timeline = ray.remote(num_cpus=0)(Timeline).remote()
        write_manifest(Manifest(videos), RunFolder(recipe).manifest)
        with held_until_a_step(s3_proxy, timeline):
            history = train_detector(recipe, videos, stream=True, progress=timeline)
        ray.kill(taken)
        return recipe, videos, history, ray.get(timeline.all.remote())

    def test_the_first_step_is_taken_before_the_last_video_is_extracted(self, run):
        *_, told = run
        first_step = next(i for i, values in enumerate(told) if "step" in values)
        before = sum(values.get("videos", 0) for values in told[:first_step])
        assert before < 16

    def test_an_epoch_takes_no_more_steps_than_planned(self, run):
        recipe, videos, history, told = run
        _, planned = with_stream_quotas(videos, recipe.faces, recipe.batches)
        assert planned >= history[0]["steps"] > 0.9 * planned
        assert {values["steps"] for values in told if "steps" in values} >= {planned}

    def test_after_it_everything_is_committed_and_read_instead_of_extracted(self, run):
        recipe, videos, history, told = run
        summaries = FacesStore(RunFolder(recipe).faces).summaries()
        assert sorted(summaries["video_id"].to_pylist()) == sorted(videos["video_id"].to_pylist())
        assert sum(values.get("videos", 0) for values in told) == 16
        end_of_first = next(i for i, values in enumerate(told) if values.get("epoch") == 1)
        assert not any("videos" in values for values in told[end_of_first:])
        assert [epoch["epoch"] for epoch in history] == [0, 1]

    def test_one_cpu_less_is_told_before_anything_starts(self, ray_session, tmp_path):
        from dfray.training.launch import train_detector

        recipe = toy_recipe(tmp_path, "big", "training.cpus_per_worker=4")
        told = r"needs 9 CPUs at once \(8 train workers \+ 1 extraction\); the cluster has 8"
        with pytest.raises(ResourceError, match=told):
            train_detector(recipe, videos_table([]), stream=True, progress=counting_actor())


@pytest.mark.ray
@pytest.mark.slow
def test_the_object_store_holds_no_more_of_twice_as_many_videos(ray_session, tmp_path):
    """Its trainer waits until no more comes; Ray Data's own limit is half of the object store."""
    import ray

    limit = ray.cluster_resources()["object_store_memory"] / 2
    peaks, flowed = [], []
    for count in (10, 20):
        videos, store = (
            write_crowds(tmp_path / f"clips-{count}", count),
            tmp_path / f"faces-{count}",
        )
        quota = pa.array([80] * count, pa.int32())
        dataset = extract_faces(
            videos.append_column("quota", quota),
            str(store),
            FacesSection(size_px=512),
            emit="faces",
            workers=2,
        )
        section = BatchesSection(batch_size=32, shuffle_faces=256)
        with watched_object_store() as used:
            batches = FacesStream(dataset.iterator(), section, world_size=1, seed=0).epoch(0)
            sizes = [next(batches).images.nbytes]
            wait_for(lambda: max(used[:-50], default=0) == max(used) > limit / 4)
            sizes += [batch.images.nbytes for batch in batches]
        faces = sum(FacesStore(str(store)).summaries()["n_faces"].to_pylist())
        assert faces > 0.99 * 80 * count, "a head at the edge may be missed"
        assert len(sizes) == faces // 32
        flowed.append(sum(sizes))
        peaks.append(max(used))
    assert peaks[1] < 1.5 * peaks[0]  # it comes in blocks, a few more or less
    assert max(peaks) < limit + 4 * BLOCK_BYTES < 0.6 * flowed[0]


@contextmanager
def watched_object_store() -> Iterator[list[int]]:
    """Bytes that have come into the object store since, ten times a second."""
    import ray
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    used: list[int] = []
    stop = threading.Event()

    def now() -> int:
        return get_memory_info_reply(state).store_stats.object_store_bytes_used

    def watch(before: int) -> None:
        while not stop.wait(0.1):
            used.append(now() - before)

    thread = threading.Thread(target=watch, args=(now(),))
    thread.start()
    try:
        yield used
    finally:
        stop.set()
        thread.join()
