"""Extraction that is killed, poisoned or starved of space loses no more than it must."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from dfray import cli
from dfray.config import FacesSection
from dfray.datasets.manifest import read_manifest
from dfray.errors import ExtractionError, StorageError
from dfray.faces.extract import extract_faces, write_faces
from dfray.faces.shards import FacesStore
from dfray.faces.supervise import SupervisedExtractor
from dfray.resources import Need
from dfray.session import require_resources
from tests.helpers.corpus import videos_of, write_corpus, write_crowds
from tests.helpers.processes import ray_processes, wait_for
from tests.helpers.rows import video_row, videos_table

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).parents[2]
TOY = str(REPOSITORY / "tests/helpers/toy.yaml")
SETTINGS = FacesSection(size_px=256)
FACES = 40
ACTOR = "ray::MapWorker(MapBatches(ShardExtractor))"


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Eight clips of twenty heads: a third of a second of work each, and FACES faces."""
    root = tmp_path_factory.mktemp("clips")
    write_crowds(root, 8, seconds=2)
    return root


def files(store: Path) -> dict[str, tuple[int, bytes]]:
    """What is committed: path -> (mtime, content)."""
    committed = {path.name for path in store.glob("videos/*.parquet")}
    found = (path for path in store.rglob("*.parquet") if path.name in committed)
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def is_worker(process: psutil.Process) -> bool:
    """Whether it is an extraction actor, or the child of one, and alive."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return words.startswith(ACTOR) or "dfray.faces.child" in words


def test_a_killed_actor_costs_no_row_and_doubles_none(ray_session, clips, tmp_path):
    """Killed when the first blocks are out and the first parts of its shard are committed."""
    videos = videos_of(clips)
    quota = pa.array([FACES] * videos.num_rows, pa.int32())
    settings = FacesSection(size_px=384, shard_mb=1)
    dataset = extract_faces(
        videos.append_column("quota", quota), str(tmp_path), settings, emit="faces"
    )
    keys: Counter[tuple] = Counter()
    killed = []
    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        columns = (table[name].to_pylist() for name in ("video_id", "frame_index", "face_index"))
        keys.update(zip(*columns, strict=True))
        if not killed:
            wait_for(lambda: any(tmp_path.glob("videos/*.parquet")))
            killed = [process.pid for process in ray_processes(ACTOR) if process.kill() is None]
            assert len(list(tmp_path.glob("videos/*.parquet"))) < 8, "it was too late to kill it"
    assert killed
    summaries = FacesStore(str(tmp_path)).summaries()
    assert sorted(summaries["video_id"].to_pylist()) == sorted(videos["video_id"].to_pylist())
    assert set(summaries["n_faces"].to_pylist()) == {FACES}
    assert set(keys.values()) == {1}
    assert len(keys) == FACES * 8


def test_a_killed_run_is_gone_on_with_where_it_was(ray_session, clips, tmp_path):
    overrides = [f"work_dir={tmp_path}", f"corpora.0.root={clips}", "cluster.extract_workers=1"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "dfray.cli", "extract", TOY, *overrides, "faces.size_px=256"],
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    stores = tmp_path / "faces"
    wait_for(lambda: driver.poll() is not None or any(stores.glob("*/videos/*.parquet")))
    (store,) = stores.iterdir()
    offspring = psutil.Process(driver.pid).children(recursive=True)
    workers = [process for process in offspring if is_worker(process)]
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    assert len(workers) == 2
    wait_for(lambda: not any(is_worker(process) for process in workers), timeout_s=20)

    before = files(store)
    done = FacesStore(str(store)).summaries()["video_id"].to_pylist()
    assert 0 < len(done) < 8
    (store / "videos" / ".train-x.0.parquet.0123abcd.part").write_bytes(b"a copy cut off")

    videos = read_manifest(str(tmp_path / "toy" / "manifest.parquet"))
    dataset = extract_faces(videos, str(store), SETTINGS)
    rest = pa.concat_tables(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    assert Counter(rest["video_id"].to_pylist() + done) == Counter(videos["video_id"].to_pylist())
    after = files(store)
    assert after.items() > before.items()
    kept = FacesStore(str(store)).summaries()
    assert sorted(kept["video_id"].to_pylist()) == sorted(videos["video_id"].to_pylist())
    assert kept["n_faces"].to_pylist() == [FACES] * 8


def test_a_poison_video_costs_itself_only(ray_session, tmp_path):
    """One aborts its decoder every time; one never answers; one is a named pipe that nobody writes to."""
    good = write_corpus(tmp_path / "clips", 5)
    poison, silent = good["uri"][1].as_py(), good["uri"][4].as_py()
    Path(f"{poison}.abort").write_text("1\n" * 10)
    Path(f"{silent}.hang").write_text("0\n" * 10)
    pipe = str(tmp_path / "pipe.mp4")
    os.mkfifo(pipe)
    videos = pa.concat_tables([good, videos_table([video_row("pipe", uri=pipe)])])
    fragile = partial(
        SupervisedExtractor, command=(sys.executable, "-m", "tests.helpers.fragile_child")
    )
    settings = FacesSection(size_px=64, stall_limit_s=3.0)
    write_faces(videos, str(tmp_path / "faces"), settings, build_extractor=fragile)
    store = FacesStore(str(tmp_path / "faces"))
    told = {row["uri"]: row for row in store.summaries().to_pylist()}
    assert told[poison]["status"] == "crashed"
    assert "SIGABRT after frame 0" in told[poison]["reason"]
    assert (told[poison]["n_faces"], told[poison]["attempts"]) == (1, 2)
    assert told[silent]["status"] == "timed_out"
    assert told[silent]["attempts"] == 2
    assert (told[pipe]["status"], told[pipe]["attempts"]) == ("unreadable", 1)
    others = [row for uri, row in told.items() if uri not in (poison, silent, pipe)]
    assert [(row["status"], row["n_faces"]) for row in others] == [("ok", 3)] * 3
    lost = [row for row in store.outcomes().to_pylist() if row["outcome"] == "decode_error"]
    assert {row["video_id"] for row in lost} == {
        told[poison]["video_id"],
        told[silent]["video_id"],
    }


def dfray(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command, in this process and its Ray."""
    monkeypatch.setattr(sys, "argv", ["dfray", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def test_a_full_disk_is_one_line_and_finished_work_is_kept(
    ray_session, clips, small_disk, monkeypatch, capfd
):
    import ray

    command = ["extract", TOY, f"work_dir={small_disk}", f"corpora.0.root={clips}"]
    command += ["faces.size_px=128", "cluster.extract_workers=1"]
    assert dfray(monkeypatch, *command) == 1
    last_line = capfd.readouterr().err.strip().splitlines()[-1]
    assert re.fullmatch(
        r"dfray: failed: extract: .*Cannot write .*/faces/.*No space left on device.* The disk is full: .*",
        last_line,
    )
    (store,) = (small_disk / "faces").iterdir()
    before = files(store)
    done = FacesStore(str(store)).summaries().num_rows
    assert 0 < done < 8
    assert not list(store.rglob("*.part"))
    require_resources([Need("what comes next", 8)])
    wait_for(lambda: ray.available_resources()["CPU"] == 8, timeout_s=30)

    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    assert dfray(monkeypatch, *command) == 0
    assert files(store).items() > before.items()
    assert FacesStore(str(store)).summaries()["n_faces"].to_pylist() == [FACES] * 8


FULL_TEMPORARY_FOLDER = """
import resource, sys
import numpy as np
from dfray.config import FacesSection
from dfray.datasets.manifest import read_manifest
from dfray.errors import StorageError
from dfray.faces.shards import FacesStore
from dfray.faces.shard_writer import ShardWriter
from tests.helpers.rows import face_row, video_row

settings = FacesSection(size_px=64)
images = np.random.default_rng(0).integers(0, 256, (200, 64, 64, 3), dtype=np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    with ShardWriter(FacesStore(sys.argv[1]), "train-x.0", settings) as writer:
        for frame, image in enumerate(images):
            writer.add_face(face_row(video_row("a"), image, frame, settings))
except StorageError as error:
    print(error)
"""


def test_a_full_temporary_folder_is_told_as_well(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_TEMPORARY_FOLDER, tmp_path / "faces"],
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(
        rf"Cannot write {tmp_path}/dfray-\d+/[\w-]+/\w+: .*File too large.*The disk is full: .*\n",
        done.stdout,
    )
    assert list((tmp_path / f"dfray-{os.getuid()}").iterdir()) == []


def test_a_bucket_that_goes_away_meanwhile_is_one_line_too(ray_session, bucket, tmp_path):
    def without_bucket(settings: FacesSection) -> SupervisedExtractor:
        import s3fs

        s3fs.S3FileSystem().rm(bucket, recursive=True)
        return SupervisedExtractor(settings)

    videos = write_corpus(tmp_path, 1)
    with pytest.raises(StorageError, match="Cannot write .*bucket does not exist") as caught:
        write_faces(videos, f"{bucket}/faces", SETTINGS, build_extractor=without_bucket)
    assert type(caught.value) is StorageError
    assert "\n" not in str(caught.value)
    assert "Check that the bucket and the key exist" in caught.value.hint


def test_what_ends_the_extraction_says_on_which_video_and_where(ray_session, tmp_path):
    def broken(settings: FacesSection) -> SupervisedExtractor:
        raise RuntimeError("no handle is left")

    videos = write_corpus(tmp_path, 1)
    place = rf"{videos['video_id'][0].as_py()}, on {platform.node()}"
    told = rf"^{place}: RuntimeError: no handle is left"
    with pytest.raises(ExtractionError, match=told):
        write_faces(videos, str(tmp_path / "faces"), SETTINGS, build_extractor=broken)


def test_a_bucket_that_never_was_is_told_at_once(s3_endpoint, tmp_path):
    with pytest.raises(StorageError, match="Check that the bucket and the key exist"):
        write_faces(write_corpus(tmp_path, 1), "s3://dfray-no-such-bucket/faces", SETTINGS)
