"""infra/bucket-policy.json: exactly the actions that storage needs, enforced by an S3 server with IAM."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dfray import storage
from dfray.errors import StorageError
from tests.helpers.ports import free_port
from tests.helpers.processes import wait_for

POLICY = Path(__file__).parents[2] / "infra" / "bucket-policy.json"
UNCHECKED = 10**9
MOTOS_OWN = [
    # Amazon asks for s3:ListBucket where a bucket is looked at with HEAD.
    ('"s3:ListBucket"', '"s3:ListBucket", "s3:HeadBucket"'),
    # Amazon asks for s3:DeleteObject on every key, not on the bucket, where several are deleted at once.
    ('"arn:aws:s3:::dfray/*"', '"arn:aws:s3:::dfray/*", "arn:aws:s3:::dfray"'),
]
"""Where moto asks for other rights than Amazon's table of actions says."""
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


def allow_unchecked(server: str, requests: int) -> None:
    """That many requests from now on are not checked."""
    plain = {"Content-Type": "text/plain"}
    asked = urllib.request.Request(
        f"{server}/moto-api/reset-auth", data=str(requests).encode(), headers=plain
    )
    urllib.request.urlopen(asked)


@pytest.fixture
def as_user(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Become a user with a policy; who is told which actions it has."""
    from dfray.storage.object_store import ObjectStore

    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    def become(policy: dict[str, Any]) -> None:
        administrator = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        allow_unchecked(server, UNCHECKED)
        boto3.client("s3", **administrator).create_bucket(Bucket="dfray")
        iam = boto3.client("iam", **administrator)
        name = f"user-{free_port()}"
        iam.create_user(UserName=name)
        document = json.dumps(policy)
        for amazons, motos in MOTOS_OWN:
            document = document.replace(amazons, motos)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        ObjectStore.clear_instance_cache()
        allow_unchecked(server, 0)

    yield become
    ObjectStore.clear_instance_cache()
    allow_unchecked(server, UNCHECKED)


def call_every_operation(local: Path) -> str:
    """Do with a bucket what dfray, Ray Train and Parquet readers do; return the URI of the folder."""
    (local / "file").write_bytes(b"small")
    run = f"s3://dfray/{uuid.uuid4().hex}"
    storage.put(local / "file", f"{run}/small")
    assert storage.exists(f"{run}/small")
    assert storage.read_bytes(f"{run}/small") == b"small"
    assert storage.list_files(run) == list(storage.walk_files(run))
    fs, path = storage.arrow_filesystem(f"{run}/train/epoch-000")
    fs.create_dir(path)
    storage.put(local / "file", f"{run}/train/epoch-000/state.pt")
    fs.delete_dir(path)  # says nothing of objects that it may not delete
    if storage.exists(f"{run}/train/epoch-000/state.pt"):
        raise PermissionError("The checkpoint is still there.")
    upload_in_parts(f"{run}/large")
    return run


def upload_in_parts(uri: str) -> None:
    """As storage does with large files: once to the end, and once given up."""
    fs, path = storage.filesystem(uri)
    place = dict(zip(("Bucket", "Key"), path.split("/", 1), strict=True))

    def begin() -> dict[str, str]:
        return place | {"UploadId": fs.call_s3("create_multipart_upload", **place)["UploadId"]}

    upload = begin()
    etag = fs.call_s3("upload_part", PartNumber=1, Body=b"part", **upload)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    fs.call_s3("complete_multipart_upload", MultipartUpload=parts, **upload)
    fs.call_s3("abort_multipart_upload", **begin())


def test_it_allows_every_operation(as_user: Any, tmp_path: Path):
    as_user(json.loads(POLICY.read_text()))
    run = call_every_operation(tmp_path)
    assert storage.list_files(run) == [f"{run}/large", f"{run}/small"]


@pytest.mark.parametrize("withheld", ACTIONS)
def test_none_of_its_actions_is_too_much(as_user: Any, tmp_path: Path, withheld: str):
    policy = json.loads(POLICY.read_text())
    for statement in policy["Statement"]:
        statement["Action"] = [a for a in statement["Action"] if a != withheld] or ["s3:Nothing"]
    as_user(policy)
    with pytest.raises((StorageError, PermissionError)):
        call_every_operation(tmp_path)


def test_it_reaches_one_bucket_and_no_other():
    statements = json.loads(POLICY.read_text())["Statement"]
    assert {place for s in statements for place in s["Resource"]} == {
        "arn:aws:s3:::dfray",
        "arn:aws:s3:::dfray/*",
    }
    assert {s["Effect"] for s in statements} == {"Allow"}
    assert not any("*" in action for action in ACTIONS)
