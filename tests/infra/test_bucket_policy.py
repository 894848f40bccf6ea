"""infra/bucket-policy.json: exactly the actions that storage needs, enforced by an S3 server with IAM."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.fs
import pytest

from dfray import storage
from dfray.errors import StorageError
from tests.helpers.ports import free_port
from tests.helpers.processes import wait_for

POLICY = Path(__file__).parents[2] / "infra" / "bucket-policy.json"
ACTIONS = [
    action
    for statement in json.loads(POLICY.read_text())["Statement"]
    for action in statement["Action"]
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an S3 server of its own: who enforces policies does so for all."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: answers(url))
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/moto-api/", timeout=1)
    except OSError:
        return False
    return True


def allow_unchecked(server: str, requests: float) -> None:
    """That many requests from now on are not checked."""
    urllib.request.urlopen(f"{server}/moto-api/reset-auth", data=str(requests).encode())


@pytest.fixture
def as_user(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Become a user with a policy; who is told which actions it has."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    def become(policy: dict[str, Any]) -> None:
        administrator = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        allow_unchecked(server, float("inf"))
        boto3.client("s3", **administrator).create_bucket(Bucket="dfray")
        iam = boto3.client("iam", **administrator)
        name = f"user-{free_port()}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        s3fs.S3FileSystem.clear_instance_cache()
        allow_unchecked(server, 0)

    yield become
    s3fs.S3FileSystem.clear_instance_cache()
    allow_unchecked(server, float("inf"))


def walk_every_road(folder: Path) -> None:
    """What dfray, Ray Train and Parquet readers do with a bucket."""
    (folder / "small").write_bytes(b"small")
    (folder / "large").write_bytes(bytes(101 * 2**20))  # in parts
    storage.put(folder / "small", "s3://dfray/run/small")
    storage.put(folder / "large", "s3://dfray/run/large")
    assert storage.exists("s3://dfray/run/small")
    assert storage.read_bytes("s3://dfray/run/small") == b"small"
    assert len(storage.list_files("s3://dfray/run")) == len(
        list(storage.walk_files("s3://dfray/run"))
    )
    fs, path = storage.arrow_filesystem("s3://dfray/run/train/epoch-000")
    fs.create_dir(path)  # as Ray Train does
    pyarrow.fs.copy_files(str(folder / "small"), f"{path}/state.pt", destination_filesystem=fs)
    fs.delete_dir(path)
    abandon_an_upload()


def abandon_an_upload() -> None:
    fs, path = storage.filesystem("s3://dfray/run/cut")
    upload = fs.call_s3("create_multipart_upload", Bucket="dfray", Key="run/cut")
    storage.attempt(
        lambda: fs.abort_mpu("dfray", "run/cut", upload["UploadId"]), path, "give up an upload to"
    )


def test_every_road_is_open_with_it(as_user: Any, tmp_path: Path):
    as_user(json.loads(POLICY.read_text()))
    walk_every_road(tmp_path)


@pytest.mark.parametrize("withheld", ACTIONS)
def test_none_of_its_actions_is_too_much(as_user: Any, tmp_path: Path, withheld: str):
    policy = json.loads(POLICY.read_text())
    for statement in policy["Statement"]:
        statement["Action"] = [a for a in statement["Action"] if a != withheld] or ["s3:Nothing"]
    as_user(policy)
    with pytest.raises((StorageError, PermissionError)):
        walk_every_road(tmp_path)


def test_it_reaches_one_bucket_and_no_other():
    statements = json.loads(POLICY.read_text())["Statement"]
    assert {place for s in statements for place in s["Resource"]} == {
        "arn:aws:s3:::dfray",
        "arn:aws:s3:::dfray/*",
    }
    assert {s["Effect"] for s in statements} == {"Allow"}
    assert not any("*" in action for action in ACTIONS)
