"""A smoke run of the commands over real clips, from which no figure is claimed.

The clips are in a folder with INDEX.csv, named by DFRAY_CORPUS; else `../shared/corpus` beside the checkout
is taken if it exists; else this is skipped. What the extraction finds in them is tested in
tests/faults/test_real_clips.py.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from dfray.faces.shard_file import iter_row_groups
from dfray.faces.shards import FacesStore
from dfray.tables import SPLITS
from tests.helpers.runs import latest_run, store_of

BESIDE = Path(__file__).parents[3] / "shared" / "corpus"
CORPUS = Path(os.environ.get("DFRAY_CORPUS", BESIDE))
DFRAY = str(Path(sysconfig.get_path("scripts"), "dfray"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (CORPUS / "INDEX.csv").exists(),
        reason="no real clips: set DFRAY_CORPUS to their folder",
    ),
]
RECIPE = """
name: real-clips
corpora:
  - {reader: csv, root: clips.csv, dataset: real-clips}
batches: {batch_size: 16}
model: {backbone: test_resnet, size_px: 64}
training: {epochs: 1, warmup_epochs: 0}
cluster: {num_cpus: 4}
"""
SPLIT_OF_FAKES = {"GH-dance": "train", "ST-art0": "val", "ST-art2": "test", "ST-full": "test"}


def dfray(folder: Path, *arguments: str) -> str:
    """What the command prints; it must end with exit code 0."""
    done = subprocess.run(
        [DFRAY, *arguments], cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def index() -> list[dict[str, str]]:
    with (CORPUS / "INDEX.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def split_of(row: dict[str, str]) -> str:
    """People stay in one split, and fakes are in each."""
    person = row["file"] if row["identity"] == "na" else row["identity"]
    return SPLIT_OF_FAKES.get(person) or SPLITS[sum(person.encode()) % len(SPLITS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, index: list[dict[str, str]]) -> Path:
    """A folder with a manifest of all clips, a label of "na" counting as real, after `dfray extract`."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "recipe.yaml").write_text(RECIPE)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "label", "category", "identity", "split"])
        for row in index:
            label = "fake" if row["label"] == "fake" else "real"
            category = row["kind"] if label == "fake" else "real"
            identity = "" if row["identity"] == "na" else row["identity"]
            writer.writerow([CORPUS / row["file"], label, category, identity, split_of(row)])
    (folder / "extract.txt").write_text(dfray(folder, "extract", "recipe.yaml"))
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> FacesStore:
    return store_of(folder / "runs")


def test_extract_leaves_an_outcome_for_every_clip(
    folder: Path, store: FacesStore, index: list[dict[str, str]]
) -> None:
    summaries = store.summaries().to_pylist()
    assert sorted(row["uri"] for row in summaries) == sorted(str(CORPUS / r["file"]) for r in index)
    lost = [Path(row["uri"]).name for row in summaries if row["status"] not in ("ok", "no_face")]
    assert lost == ["audio_only.mp4"]
    frames = store.outcomes().group_by("video_id").aggregate([("frame_index", "count")]).to_pylist()
    assert {row["video_id"]: row["frame_index_count"] for row in frames} == {
        row["video_id"]: row["n_frames"] for row in summaries if row["n_frames"]
    }
    printed = (folder / "extract.txt").read_text()
    assert "unreadable" in printed
    assert "no_face" in printed


def test_the_crops_of_the_rotated_portrait_are_upright(store: FacesStore) -> None:
    summaries = store.summaries().to_pylist()
    (row,) = [row for row in summaries if "rotated_90" in row["uri"]]
    assert row["n_faces"] == 5
    keypoints = [
        face["keypoints"]
        for group in iter_row_groups(store.shard_uri(row["shard"]), ["video_id", "keypoints"])
        for face in group.to_pylist()
        if face["video_id"] == row["video_id"]
    ]
    for points in keypoints:
        right_eye, left_eye, nose, mouth, *_ = np.reshape(points, (6, 2))
        assert right_eye[0] < left_eye[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]


def test_train_and_evaluate_run_on_them(folder: Path) -> None:
    assert "kept" in dfray(folder, "train", "recipe.yaml")
    assert "all videos" in dfray(folder, "evaluate", "recipe.yaml")
    evaluation = latest_run(folder / "runs", "real-clips") / "evaluation"
    counts = json.loads((evaluation / "metrics.json").read_text())["overall"]["counts"]
    assert counts["scored"] < counts["videos"]  # a clip without a face is counted, not scored
    assert "</html>" in (evaluation / "report.html").read_text()
