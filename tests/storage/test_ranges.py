"""Of a remote file the ranges that are asked for are copied, at their places, and nothing else."""

from __future__ import annotations

import contextlib
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dfray import storage
from dfray.errors import StorageError
from tests.helpers.proxy import FaultProxy

CONTENT = np.random.default_rng(0).integers(1, 256, 300_000, np.uint8).tobytes()


@pytest.fixture
def uri(bucket: str) -> str:
    uri = storage.join(bucket, "long.mp4")
    storage.write_bytes(CONTENT, uri)
    return uri


def test_ranges_lie_at_their_places_and_the_rest_is_zeros(uri: str) -> None:
    ranges = [(250_000, 50_000), (10, 5), (20, 100), (100_000, 1), (299_999, 1)]
    expected = bytearray(len(CONTENT))
    for first, size in ranges:
        expected[first : first + size] = CONTENT[first : first + size]
    with storage.partial_copy(uri) as copy:
        assert copy.n_bytes == len(CONTENT)
        copy.fetch(ranges)
        with open(copy.path, "rb") as file:
            assert file.read() == expected
        copy.fetch([(0, len(CONTENT))])
        with open(copy.path, "rb") as file:
            assert file.read() == CONTENT


def test_near_ranges_are_one_request_and_none_is_made_twice(
    uri: str, s3_faults: FaultProxy
) -> None:
    def n_reads() -> int:
        return sum(request.method == "GET" for request in s3_faults.requests)

    with storage.partial_copy(uri) as copy:
        copy.fetch([(first, 100) for first in range(0, 20_000, 1000)])
        assert n_reads() == 1
        copy.fetch([(0, 100), (200_000, 10)])
        assert n_reads() == 2


@pytest.mark.parametrize("outside", [(-1, 10), (299_999, 2), (10**12, 1), (5, -1)])
def test_a_range_outside_of_the_file_is_refused(uri: str, outside: tuple[int, int]) -> None:
    with storage.partial_copy(uri) as copy, pytest.raises(StorageError, match=r"long\.mp4"):
        copy.fetch([outside])


def test_a_file_that_is_replaced_meanwhile_is_told(uri: str) -> None:
    with storage.partial_copy(uri) as copy:
        copy.fetch([(0, 100)])
        storage.write_bytes(CONTENT[::-1], uri)
        with pytest.raises(StorageError, match="replaced"):
            copy.fetch([(1000, 100)])


def test_faults_that_pass_are_tried_again(uri: str, s3_faults: FaultProxy) -> None:
    refused = s3_faults.refuse_every(2)
    with storage.partial_copy(uri) as copy:
        copy.fetch([(0, 1000), (200_000, 1000)])
        with open(copy.path, "rb") as file:
            assert file.read(1000) == CONTENT[:1000]
    assert refused


@contextlib.contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """A local disk that takes nothing beyond this place in a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_folder_of_keys_is_refused(uri: str) -> None:
    folder = uri.rpartition("/")[0]
    storage.write_bytes(b"below", f"{folder}/group/clip.mp4")
    for name in (f"{folder}/group", folder):
        with (
            pytest.raises(StorageError, match="is a folder, not a file"),
            storage.partial_copy(name),
        ):
            pass


def test_a_full_disk_is_told_when_the_copy_is_made_and_when_ranges_are(uri: str) -> None:
    with (
        files_of_at_most(100_000),
        pytest.raises(StorageError, match="disk is full"),
        storage.partial_copy(uri),
    ):
        pass
    with storage.partial_copy(uri) as copy:
        copy.fetch([(0, 100)])
        with files_of_at_most(100_000), pytest.raises(StorageError, match="disk is full"):
            copy.fetch([(250_000, 100)])


def test_a_missing_temporary_folder_is_told_for_all_kinds_of_copies(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    for copy in (storage.partial_copy, storage.local_copy, storage.local_folder):
        with pytest.raises(StorageError, match=r"none"), copy(uri):  # type: ignore[operator]
            pass
    with pytest.raises(StorageError, match="none"), storage.local_copies([uri]):
        pass
    with pytest.raises(StorageError, match="none"):
        storage.write_bytes(b"", uri)


def test_ranges_are_asked_of_object_stores_alone() -> None:
    """Other servers may know no ranges, and need not state a size."""
    assert storage.serves_ranges("s3://bucket/a.mp4")
    assert not storage.serves_ranges("https://host/a.mp4")
    assert not storage.serves_ranges("/folder/a.mp4")
