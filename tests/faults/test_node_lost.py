"""A node of the cluster is lost, all its processes at once: the job ends as if it had not been.

Training goes on from the last epoch's checkpoint, with a replacement or with the workers that are left. The
network has no BatchNorm and nothing is drawn at random, and a repeat gives the same losses to the last digit.
With fewer workers the same faces are added up in another order: that rounding is all the noise there is, and
it is measured by a run that has one worker from the start.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dfray.faces.shard_file import iter_row_groups
from dfray.faces.shards import FacesStore
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from tests.helpers.cluster import LocalCluster
from tests.helpers.corpus import write_crowds
from tests.helpers.processes import title, wait_for
from tests.helpers.runs import latest_run, store_of, write_run
from tests.helpers.toy import toy_recipe, toy_videos, toy_words

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

TOY = "tests/helpers/toy.yaml"
EPOCHS = 6
VIDEOS, SECONDS = 60, 12
"""Enough that both nodes extract before the first is through with all of them."""
FED_SECONDS = 6
"""The encoder's bits decide whether all twenty heads are found: of clips of 4 s one in 24 shows 19."""
Training = tuple[subprocess.Popen[str], RunFolder]


def start(cluster: LocalCluster, folder: Path, name: str, *changes: str) -> Training:
    """`dfray train` on written faces, one worker a node, of epochs of some seconds."""
    changes = (f"training.epochs={EPOCHS}", "training.cpus_per_worker=3", *changes)
    recipe = toy_recipe(folder, name, *changes)
    write_run(recipe, toy_videos(videos=80, faces=16))
    driver = cluster.dfray("train", TOY, *toy_words(folder, name), *changes)
    return driver, RunContext.of(recipe).folder


def history_of(training: Training) -> list[dict[str, float]]:
    driver, folder = training
    output, _ = driver.communicate()
    assert driver.returncode == 0, output
    return folder.state().history


def kill_in_epoch(
    cluster: LocalCluster, folder: Path, name: str, epoch: int, expected: list[dict[str, float]]
) -> None:
    """SIGKILL the node that is not the driver's, half as far into the epoch as it took undisturbed."""
    runs = folder / name
    wait_for(lambda: any(runs.glob(f"*/train/epoch-{epoch - 1:03d}")), timeout_s=200)
    time.sleep(expected[epoch]["seconds"] / 2)
    (lost,) = (node for node in cluster.nodes() if node != "head")
    cluster.kill(lost)
    assert not any(runs.glob(f"*/train/epoch-{epoch:03d}")), "it was too late to kill it"


@pytest.fixture(scope="module")
def undisturbed(_local_cluster: LocalCluster, tmp_path_factory) -> list[dict[str, float]]:
    if _local_cluster.nodes() == ["head"]:
        _local_cluster.add("gpu")
    return history_of(start(_local_cluster, tmp_path_factory.mktemp("whole"), "whole"))


@pytest.fixture(scope="module")
def rounding(_local_cluster: LocalCluster, undisturbed, tmp_path_factory) -> float:
    """How far losses differ, relatively, if one worker takes the same batches from the first epoch on."""
    (other,) = (node for node in _local_cluster.nodes() if node != "head")
    _local_cluster.kill(other)
    folder = tmp_path_factory.mktemp("alone")
    alone = history_of(start(_local_cluster, folder, "alone", "training.min_workers=1"))
    assert {epoch["workers"] for epoch in alone} == {1}
    found = np.abs(losses(alone) / losses(undisturbed) - 1).max()
    assert found < 1e-2
    return float(found)


def losses(history: list[dict[str, float]]) -> np.ndarray:
    """(epochs, 2): in training and in validation."""
    return np.array([[epoch["train_loss"], epoch["val_loss"]] for epoch in history])


def test_without_a_replacement_those_left_take_the_same_batches(
    rounding, two_nodes, undisturbed, tmp_path
):
    training = start(two_nodes, tmp_path, "shrunk", "training.min_workers=1")
    kill_in_epoch(two_nodes, tmp_path, "shrunk", 2, undisturbed)
    history = history_of(training)
    assert [epoch["workers"] for epoch in history[:2]] == [2, 2]
    assert history[-1]["workers"] == 1
    assert {epoch["faces"] for epoch in history} == {epoch["faces"] for epoch in undisturbed}
    np.testing.assert_allclose(losses(history), losses(undisturbed), rtol=max(3 * rounding, 1e-5))


def test_with_a_replacement_the_run_ends_as_if_left_alone(two_nodes, undisturbed, tmp_path):
    training = start(two_nodes, tmp_path, "replaced")
    kill_in_epoch(two_nodes, tmp_path, "replaced", 2, undisturbed)
    two_nodes.add("gpu")
    history = history_of(training)
    assert {epoch["workers"] for epoch in history} == {2}
    np.testing.assert_allclose(losses(history), losses(undisturbed), rtol=1e-5)


def assert_every_face_once(store: FacesStore, videos: pa.Table, seconds: int) -> None:
    """Each video has its twenty faces a second, each of another frame or place."""
    summaries = store.summaries()
    assert sorted(summaries["video_id"].to_pylist()) == sorted(videos["video_id"].to_pylist())
    assert set(summaries["n_faces"].to_pylist()) == {20 * seconds}
    columns = ["video_id", "frame_index", "face_index"]
    keys: Counter[tuple] = Counter()
    for split in set(summaries["split"].to_pylist()):
        for shard in store.shards(split):
            for group in iter_row_groups(shard, columns):
                keys.update(zip(*(group[name].to_pylist() for name in columns), strict=True))
    assert set(keys.values()) == {1}
    assert len(keys) == 20 * seconds * videos.num_rows


def corpus_at(clips: Path) -> list[str]:
    """Overrides by which a video has the id that `write_crowds` gives it."""
    return [f"corpora.0.root={clips}", "corpora.0.dataset=toy"]


def kill_while_extracting(
    cluster: LocalCluster, store: FacesStore, videos: int, *, itself: bool
) -> None:
    """SIGKILL the node that is not the driver's once there is a shard, but not all.

    Args:
        itself: and once the node extracts, too.
    """
    (lost,) = (node for node in cluster.nodes() if node != "head")

    def extracts() -> bool:
        return any("ShardExtractor" in title(process) for process in cluster.processes(lost))

    committed = Path(store.uri) / "videos"
    wait_for(lambda: any(committed.glob("*.parquet")) and (not itself or extracts()), timeout_s=200)
    cluster.kill(lost)
    assert store.summaries().num_rows < videos, "it was too late to kill it"


@pytest.mark.parametrize("replaced", [True, False])
def test_a_node_lost_while_it_extracts_costs_no_face_and_doubles_none(
    two_nodes, tmp_path, replaced
):
    videos = write_crowds(tmp_path / "clips", VIDEOS, seconds=SECONDS)
    overrides = [f"work_dir={tmp_path}", *corpus_at(tmp_path / "clips")]
    driver = two_nodes.dfray("extract", TOY, *overrides, "faces.size_px=128", "faces.shard_mb=1")
    wait_for((tmp_path / "faces").exists, timeout_s=200)
    store = store_of(tmp_path)
    kill_while_extracting(two_nodes, store, videos.num_rows, itself=True)
    if replaced:
        two_nodes.add("gpu")
    output, _ = driver.communicate()
    assert driver.returncode == 0, output
    assert_every_face_once(store, videos, SECONDS)


def test_a_node_lost_while_the_first_epoch_is_fed_leaves_room_for_the_extraction(
    two_nodes, tmp_path
):
    """One worker of two CPUs and an extractor fit on the node that is left; two workers alone would, too."""
    splits = ("train", "train", "val")
    videos = write_crowds(tmp_path / "clips", VIDEOS, seconds=FED_SECONDS, splits=splits)
    driver = two_nodes.dfray(
        "train",
        TOY,
        f"work_dir={tmp_path}",
        *corpus_at(tmp_path / "clips"),
        "faces.shard_mb=1",
        "batches.stream_first_epoch=true",
        "training.epochs=2",
        "training.cpus_per_worker=2",
        "training.min_workers=1",
    )
    wait_for((tmp_path / "faces").exists, timeout_s=200)
    store = store_of(tmp_path)
    kill_while_extracting(two_nodes, store, videos.num_rows, itself=False)
    output, _ = driver.communicate()
    assert driver.returncode == 0, output
    assert_every_face_once(store, videos, FED_SECONDS)
    history = json.loads((latest_run(tmp_path, "toy") / "state.json").read_text())["history"]
    assert [epoch["workers"] for epoch in history] == [1, 1], output
    assert "Nodes are missing: 1 of 2 workers train." in output
