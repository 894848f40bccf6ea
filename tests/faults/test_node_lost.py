"""A node of the cluster is lost, all its processes at once: the job ends as if it had not been.

Training goes on from the last epoch's checkpoint, with a replacement or with the workers that are left. The
network has no BatchNorm and nothing is drawn at random, and a repeat gives the same losses to the last digit.
With fewer workers the same faces are added up in another order: that is rounding, and all the noise there is.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dfray.faces.shards import FacesStore, iter_row_groups
from dfray.run_folder import RunFolder
from tests.helpers.cluster import LocalCluster
from tests.helpers.corpus import write_crowds
from tests.helpers.processes import wait_for
from tests.helpers.toy import toy_recipe, write_toy_faces

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EPOCHS = 6
TRAIN = """
import json, sys
from dfray.progress import counting_actor
from dfray.session import session
from dfray.training.launch import train_detector
from tests.helpers.toy import toy_recipe

recipe = toy_recipe(*sys.argv[1:])
with session(recipe.cluster):
    history = train_detector(recipe, None, stream=False, progress=counting_actor())
print(json.dumps(history))
"""


def start(cluster: LocalCluster, folder: Path, name: str, *changes: str) -> subprocess.Popen[str]:
    """A run on written faces, one worker a node, of epochs of some seconds."""
    changes = (
        f"cluster.address={cluster.address}",
        f"training.epochs={EPOCHS}",
        "training.cpus_per_worker=3",
        *changes,
    )
    recipe = toy_recipe(folder, name, *changes)
    write_toy_faces(recipe, videos=80, faces=16)
    return cluster.python("-c", TRAIN, str(folder), name, *changes)


def history_of(driver: subprocess.Popen[str]) -> list[dict[str, float]]:
    output, _ = driver.communicate()
    assert driver.returncode == 0, output
    return json.loads(output.splitlines()[-1])


def kill_in_epoch(cluster: LocalCluster, folder: Path, name: str, epoch: int) -> None:
    """SIGKILL the node that is not the driver's, once the epoch before has left its checkpoint."""
    checkpoint = folder / name / "train" / f"epoch-{epoch - 1:03d}"
    wait_for(checkpoint.exists, timeout_s=200)
    (lost,) = (node for node in cluster.nodes() if node != "head")
    cluster.kill(lost)


@pytest.fixture(scope="module")
def undisturbed(_local_cluster: LocalCluster, tmp_path_factory) -> list[dict[str, float]]:
    return history_of(start(_local_cluster, tmp_path_factory.mktemp("whole"), "whole"))


def assert_same_losses(history: list[dict], expected: list[dict], tolerance: float) -> None:
    for name in ("train_loss", "val_loss"):
        np.testing.assert_allclose(
            [epoch[name] for epoch in history], [epoch[name] for epoch in expected], rtol=tolerance
        )


@pytest.mark.timeout(600)
def test_without_a_replacement_those_left_take_the_same_batches(two_nodes, undisturbed, tmp_path):
    driver = start(two_nodes, tmp_path, "shrunk", "training.min_workers=1")
    kill_in_epoch(two_nodes, tmp_path, "shrunk", 2)
    history = history_of(driver)
    assert [epoch["workers"] for epoch in history[:2]] == [2, 2]
    assert history[-1]["workers"] == 1
    assert {epoch["faces"] for epoch in history} == {epoch["faces"] for epoch in undisturbed}
    assert_same_losses(history, undisturbed, 1e-2)


@pytest.mark.timeout(600)
def test_with_a_replacement_the_run_ends_as_if_left_alone(two_nodes, undisturbed, tmp_path):
    driver = start(two_nodes, tmp_path, "replaced")
    kill_in_epoch(two_nodes, tmp_path, "replaced", 2)
    two_nodes.add("gpu")
    history = history_of(driver)
    assert {epoch["workers"] for epoch in history} == {2}
    assert_same_losses(history, undisturbed, 1e-5)


def assert_every_face_once(store: FacesStore, videos: list[str], faces: int) -> None:
    summaries = store.summaries()
    assert sorted(summaries["video_id"].to_pylist()) == sorted(videos)
    assert set(summaries["n_faces"].to_pylist()) == {faces}
    columns = ["video_id", "frame_index", "face_index"]
    keys: Counter[tuple] = Counter()
    for split in set(summaries["split"].to_pylist()):
        for shard in store.shards(split):
            for group in iter_row_groups(shard, columns):
                keys.update(zip(*(group[name].to_pylist() for name in columns), strict=True))
    assert set(keys.values()) == {1}
    assert len(keys) == faces * len(videos)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("replaced", [True, False])
def test_a_node_lost_while_it_extracts_costs_no_face_and_doubles_none(
    two_nodes, tmp_path, replaced
):
    videos = write_crowds(tmp_path / "clips", 24)
    overrides = [f"work_dir={tmp_path}", f"corpora.0.root={tmp_path / 'clips'}"]
    driver = two_nodes.dfray(
        "extract", "tests/helpers/toy.yaml", *overrides, "faces.size_px=128", "faces.shard_mb=1"
    )
    store = FacesStore(RunFolder(toy_recipe(tmp_path)).faces)
    wait_for(lambda: any(Path(store.uri).glob("videos/*.parquet")), timeout_s=200)
    (lost,) = (node for node in two_nodes.nodes() if node != "head")
    extracting = [p for p in two_nodes.processes(lost) if "ShardExtractor" in " ".join(p.cmdline())]
    assert extracting, "no actor was on the node that is killed"
    two_nodes.kill(lost)
    assert len(list(Path(store.uri).glob("videos/*.parquet"))) < 24, "it was too late to kill it"
    if replaced:
        two_nodes.add("gpu")
    output, _ = driver.communicate()
    assert driver.returncode == 0, output
    assert_every_face_once(store, videos["video_id"].to_pylist(), 80)
