"""One `dfray run` for all tests of what a run leaves: a process of its own, its work directory on S3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.commands import Done, dfray_process
from tests.helpers.proxy import FaultProxy, Request

RECIPE = """
name: small
corpora:
  - {reader: folder, root: corpus, dataset: toy}
faces: {size_px: 64}
batches: {batch_size: 4, stream_first_epoch: true}
model: {backbone: test_resnet, size_px: 32}
training: {epochs: 2, warmup_epochs: 0}
cluster: {num_cpus: 4, extract_workers: 1}
registry:
  gates: {min_auc: 0, min_balanced_accuracy: 0, min_coverage: 0, min_videos: 1}
"""


REFUSING = "registry.gates.max_calibration_error=0"
"""A gate that a model fails, and that no count of videos tells of before."""


@dataclass(frozen=True)
class RefusedRun:
    """A run whose gates refused the detector.

    Attributes:
        folder: has small.yaml, its corpus and MLflow's database.
        work_dir: s3:// URI of a bucket that holds nothing else.
        requests: to that bucket, the first of which makes it.
    """

    folder: Path
    work_dir: str
    done: Done
    requests: tuple[Request, ...]


@pytest.fixture(scope="session")
def refused_run(s3_proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> RefusedRun:
    import boto3

    from tests.helpers.corpus import write_corpus

    folder, work_dir = tmp_path_factory.mktemp("run"), "s3://dfray-run/runs"
    boto3.client("s3", endpoint_url=s3_proxy.url).create_bucket(Bucket="dfray-run")
    (folder / "small.yaml").write_text(
        f"{RECIPE}  tracking_uri: sqlite:///{folder}/mlflow.db\nwork_dir: {work_dir}\n"
    )
    write_corpus(folder / "corpus", 12, seconds=2, splits=("train", "val", "test"))
    done = dfray_process(folder, "run", "small.yaml", REFUSING, timeout_s=280)
    requests = tuple(r for r in s3_proxy.requests if r.target.startswith("/dfray-run"))
    return RefusedRun(folder, work_dir, done, requests)
