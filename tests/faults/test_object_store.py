"""An object store that is throttled, slow, away or full: bounded patience, a clear end, nothing lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfray import storage
from dfray.errors import StorageError
from dfray.storage import s3_session
from tests.helpers.proxy import FULL, Fault, FaultProxy, Request

UNAVAILABLE = Fault(503, "ServiceUnavailable")


@pytest.fixture
def store(s3_faults: FaultProxy, bucket: str) -> str:
    """s3://… of a folder that holds a Parquet file and bytes."""
    folder = storage.join(bucket, "folder")
    fs, path = storage.arrow_filesystem(storage.join(folder, "table.parquet"))
    pq.write_table(pa.table({"x": [1, 2, 3]}), path, filesystem=fs)
    storage.write_bytes(b"kept", storage.join(folder, "bytes"))
    s3_faults.requests.clear()
    return folder


def read_parquet(folder: str, local: str) -> None:
    fs, path = storage.arrow_filesystem(storage.join(folder, "table.parquet"))
    assert pq.ParquetFile(path, filesystem=fs).read()["x"].to_pylist() == [1, 2, 3]


def upload_a_folder(folder: str, local: str) -> None:
    storage.put_tree(local, storage.join(folder, "copied"))
    assert storage.read_bytes(storage.join(folder, "copied", "file")) == b"local"


def write(folder: str, local: str) -> None:
    storage.write_bytes(b"new", storage.join(folder, "new"))
    assert storage.read_bytes(storage.join(folder, "new")) == b"new"


def download(folder: str, local: str) -> None:
    with storage.local_folder(folder) as copy, open(f"{copy}/bytes", "rb") as file:
        assert file.read() == b"kept"


def walk(folder: str, local: str) -> None:
    assert len(list(storage.walk_files(folder))) == len(storage.list_files(folder)) == 2


OPERATIONS = [read_parquet, upload_a_folder, write, download, walk]


@pytest.fixture
def local(tmp_path) -> str:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_bytes(b"local")
    return str(tmp_path / "from")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_a_store_that_answers_503_for_a_while_is_not_noticed(
    store: str, local: str, s3_faults: FaultProxy, operation: Callable
):
    s3_faults.refuse_every(2)
    operation(store, local)
    assert len(s3_faults.requests) >= 2


@pytest.mark.parametrize("fault", [UNAVAILABLE, Fault(500, "InternalError")])
def test_other_faults_that_pass_are_not_noticed_either(
    store: str, s3_faults: FaultProxy, fault: Fault
):
    counter = itertools.count()
    s3_faults.fault = lambda request: fault if next(counter) == 0 else None
    assert storage.read_bytes(storage.join(store, "bytes")) == b"kept"


@pytest.mark.parametrize("operation", OPERATIONS[:3], ids=lambda operation: operation.__name__)
def test_a_connection_that_breaks_is_made_again(
    store: str, local: str, s3_faults: FaultProxy, operation: Callable
):
    counter = itertools.count()

    def cut(request: Request) -> None:
        s3_faults.is_cut = next(counter) % 2 == 0

    s3_faults.fault = cut
    operation(store, local)
    assert next(counter) >= 2  # the one that broke, and the one made again


def test_a_store_that_stays_unavailable_is_given_up_after_bounded_tries(
    store: str, s3_faults: FaultProxy
):
    s3_faults.fault = lambda request: UNAVAILABLE
    with pytest.raises(StorageError, match=r"s3://dfray-.*tried again and again.*work is kept"):
        storage.write_bytes(b"new", storage.join(store, "new"))
    assert len(s3_faults.requests) == 3, "AWS_MAX_ATTEMPTS"


def test_a_store_that_is_away_is_given_up_after_bounded_tries(store: str, s3_faults: FaultProxy):
    s3_faults.is_cut = True
    with pytest.raises(
        StorageError, match=r"Cannot read s3://.*check the network and the endpoint"
    ):
        storage.read_bytes(storage.join(store, "bytes"))
    assert 15 <= len(s3_faults.requests) <= 30, (
        "five series of AWS_MAX_ATTEMPTS; each may knock twice"
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch):
    """The client waits half a second for a byte, not fifteen."""
    from dfray.storage.object_store import ObjectStore

    monkeypatch.setattr(ObjectStore, "read_timeout", 0.5)
    ObjectStore.clear_instance_cache()
    yield
    ObjectStore.clear_instance_cache()


def test_a_request_that_hangs_is_made_again(impatient, store: str, s3_faults: FaultProxy):
    counter = itertools.count()
    s3_faults.fault = lambda request: Fault(delay_s=1.5) if next(counter) == 0 else None
    assert storage.read_bytes(storage.join(store, "bytes")) == b"kept"
    assert [request.method for request in s3_faults.requests] == ["HEAD", "HEAD", "GET"]


@pytest.mark.parametrize("size", [3, 20 * 2**20], ids=["small", "more than sockets hold"])
def test_an_upload_to_a_store_that_stands_still_is_made_again(
    store: str, s3_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch, size: int
):
    """It takes the connection and then neither reads nor answers; no read timeout has begun yet."""
    monkeypatch.setattr(s3_session, "PATIENCE_S", 2.0)
    monkeypatch.setattr(s3_session, "SLOWEST_BYTES_PER_S", 1e7)
    counter = itertools.count()
    s3_faults.fault = lambda request: Fault(delay_s=60.0) if next(counter) == 0 else None
    storage.write_bytes(bytes(size), storage.join(store, "new"))
    assert [request.method for request in s3_faults.requests] == ["PUT", "PUT"]
    assert len(storage.read_bytes(storage.join(store, "new"))) == size


NO_ROOM = [
    FULL,
    Fault(403, "QuotaExceeded"),
    Fault(400, "XMinioAdminBucketQuotaExceeded"),
    Fault(400, "EntityTooLarge"),
]


@pytest.mark.parametrize("full", NO_ROOM, ids=lambda fault: fault.code)
def test_a_full_bucket_is_said_at_once_and_keeps_what_it_holds(
    store: str, s3_faults: FaultProxy, full: Fault
):
    s3_faults.fault = lambda request: full if request.method == "PUT" else None
    with pytest.raises(StorageError, match=r"Cannot write s3://.*/more.*The bucket is full"):
        storage.write_bytes(b"more", storage.join(store, "more"))
    assert len(s3_faults.requests) == 1
    s3_faults.pass_on()
    assert not storage.exists(storage.join(store, "more"))
    assert storage.read_bytes(storage.join(store, "bytes")) == b"kept"


def test_a_bucket_that_fills_up_in_the_middle_of_a_large_upload_keeps_no_part_of_it(
    store: str, bucket: str, s3_faults: FaultProxy, tmp_path
):
    import boto3

    (tmp_path / "large").write_bytes(bytes(110 * 2**20))  # two parts of 50 MiB and a rest
    s3_faults.fault = lambda request: FULL if "partNumber=2" in request.target else None
    with pytest.raises(StorageError, match="The bucket is full"):
        storage.put(tmp_path / "large", storage.join(store, "large"))
    s3_faults.pass_on()
    client = boto3.client("s3")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket.removeprefix("s3://"))
    assert not storage.exists(storage.join(store, "large"))
