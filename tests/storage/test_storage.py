"""Storage: local and s3 alike, atomic, bounded in its retries, clear in its errors."""

import os

import pytest

from dfray import storage
from dfray.errors import StorageError
from dfray.storage import copies


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")


def test_what_is_written_is_read_back(place):
    uri = storage.join(place, "a folder", "ä.bin")
    storage.write_bytes(b"faces", uri)
    assert storage.exists(uri)
    assert storage.read_bytes(uri) == b"faces"
    with storage.local_copy(uri) as path, open(path, "rb") as file:
        assert file.read() == b"faces"


def test_listing_is_sorted_and_of_one_folder(place):
    for name in ("b.parquet", "a.parquet", "c.txt", "deeper/d.parquet"):
        storage.write_bytes(b"", storage.join(place, "x", name))
    listed = storage.list_files(storage.join(place, "x"), ".parquet")
    assert listed == [storage.join(place, "x", n) for n in ("a.parquet", "b.parquet")]
    assert storage.list_files(storage.join(place, "nothing")) == []
    walked = list(storage.walk_files(storage.join(place, "x")))
    assert storage.join(place, "x", "deeper/d.parquet") in walked
    assert len(walked) == 4


def test_a_folders_last_file_is_put_last(place, tmp_path, monkeypatch):
    for name in ("a.json", "b.bin"):
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(b"x")
    put, order = copies.put, []
    monkeypatch.setattr(copies, "put", lambda path, uri: (order.append(path.name), put(path, uri)))
    storage.put_folder(tmp_path / "folder", storage.join(place, "there"), last="a.json")
    assert order == ["b.bin", "a.json"]
    assert len(storage.list_files(storage.join(place, "there"))) == 2


def test_a_tree_is_put_with_its_folders(place, tmp_path):
    for name in ("state.pt", "bundle/bundle.json"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text(name)
    storage.put_tree(tmp_path / "from", storage.join(place, "to"))
    assert (
        storage.read_bytes(storage.join(place, "to", "bundle/bundle.json")) == b"bundle/bundle.json"
    )
    assert len(list(storage.walk_files(storage.join(place, "to")))) == 2


def test_arrow_sees_the_same_files(place):
    storage.write_bytes(b"12345", storage.join(place, "f"))
    fs, path = storage.arrow_filesystem(storage.join(place, "f"))
    assert fs.get_file_info(path).size == 5


def test_a_missing_bucket_is_said_with_its_mend(s3_endpoint):
    with pytest.raises(StorageError, match=r"s3://no-such-bucket-dfray.*Check that the bucket"):
        storage.write_bytes(b"x", "s3://no-such-bucket-dfray/x")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(StorageError, match=r"gone\.bin.*Check the path"):
        storage.read_bytes(str(tmp_path / "gone.bin"))


def test_a_failed_write_leaves_neither_the_file_nor_a_part_of_it(tmp_path):
    import resource

    target = tmp_path / "out" / "shard"
    source = tmp_path / "big"
    source.write_bytes(bytes(200_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match="disk is full"):
            storage.put(str(source), str(target))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path / "out") == []
