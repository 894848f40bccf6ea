"""Of a remote file the ranges that are asked for are copied, at their places, and nothing else."""

from __future__ import annotations

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
