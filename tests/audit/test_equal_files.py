"""Equal files are found under any name, on a disk and in a bucket, without opening the others."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from dfray import storage
from dfray.audit import equal_files as equality
from dfray.audit.equal_files import equal_files
from dfray.errors import StorageError
from dfray.faces.digests import DigestReader
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.stuck_digests import STUCK

LIMIT_S = 60.0
LARGE = 3 * 2**20
"""Bytes of a file of which samples are read."""


def listed(*places: tuple[str, str], **columns: object) -> pa.Table:
    """VIDEOS of (URI, split), with the stamps of a listing, each of a dataset of its own."""
    rows = []
    for number, (uri, split) in enumerate(places):
        folder = uri.rpartition("/")[0]
        stamps = {file.uri: file.stamp for file in storage.list_stamped(folder)}
        more = {"uri": uri, "split": split, "dataset": f"corpus-{number}", "stamp": stamps.get(uri)}
        rows.append(video_row("clip", **{**more, **columns}))
    return videos_table(rows)


def groups(videos: pa.Table, **options: bool) -> list[set[str]]:
    found = equal_files(videos, LIMIT_S, **options)
    return [{f"{m.dataset} {m.split}" for m in group.members} for group in found]


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path if request.param == "local" else request.getfixturevalue("bucket"))


def write(place: str, name: str, content: bytes) -> str:
    uri = storage.join(place, "clips", name)
    storage.write_bytes(content, uri)
    return uri


@pytest.mark.parametrize("n_bytes", [1000, LARGE])
def test_a_copy_under_another_name_and_dataset_is_found(place: str, n_bytes: int) -> None:
    content, other = os.urandom(n_bytes), os.urandom(n_bytes)
    first, copy = write(place, "a.mp4", content), write(place, "b.mp4", content)
    distinct = write(place, "c.mp4", other)
    videos = listed((first, "train"), (copy, "test"), (distinct, "test"))
    assert groups(videos) == [{"corpus-0 train", "corpus-1 test"}]


def test_a_difference_beyond_the_first_sample_tells_files_apart(tmp_path: Path) -> None:
    content = bytearray(os.urandom(LARGE))
    first = write(str(tmp_path), "a.mp4", bytes(content))
    content[-1] ^= 1
    second = write(str(tmp_path), "b.mp4", bytes(content))
    assert groups(listed((first, "train"), (second, "test"))) == []


def test_links_lead_to_equal_files(tmp_path: Path) -> None:
    first = write(str(tmp_path), "a.mp4", b"content")
    os.link(first, tmp_path / "clips/hard.mp4")
    (tmp_path / "clips/soft.mp4").symlink_to(first)
    places = ((f"{tmp_path}/clips/{name}.mp4", "test") for name in ("hard", "soft"))
    (group,) = equal_files(listed((first, "val"), *places), LIMIT_S)
    assert len(group.members) == 3
    assert group.crosses


def test_one_file_that_two_corpora_list_is_found_without_a_stamp() -> None:
    row = {"uri": "/videos/a.mp4", "stamp": None}
    videos = videos_table(
        [video_row("a", dataset="x", **row), video_row("a", dataset="y", split="test", **row)]
    )
    assert groups(videos) == [{"x train", "y test"}]


def test_empty_files_are_equal_to_nothing(tmp_path: Path) -> None:
    places = [(write(str(tmp_path), name, b""), "train") for name in ("a.mp4", "b.mp4")]
    assert groups(listed(*places)) == []


def pictures(place: str, name: str, split: str, content: bytes) -> dict:
    """A row of VIDEOS: a folder of three pictures with this content."""
    folder, stamp = f"{place}/{name}", storage.FolderStamp()
    for number in range(3):
        storage.write_bytes(content * 10, f"{folder}/{number}.png")
    for file in storage.list_stamped(folder):
        stamp.add(file.uri.rpartition("/")[2], file.stamp)
    row = {"kind": "faces", "uri": folder, "stamp": str(stamp), "dataset": name}
    return video_row("clip", split=split, **row)


def test_folders_of_equal_pictures_are_found(place: str) -> None:
    named = (("a", "train", b"1"), ("b", "test", b"1"), ("c", "test", b"2"))
    videos = videos_table([pictures(place, *one) for one in named])
    assert groups(videos) == [{"a train", "b test"}]


def test_remote_folders_beside_local_ones_are_compared_by_their_stamps(
    tmp_path: Path, bucket: str
) -> None:
    rows = [
        pictures(place, f"{name}-{kind}", split, b"1")
        for place, kind in ((str(tmp_path), "local"), (bucket, "remote"))
        for name, split in (("a", "train"), ("b", "test"))
    ]
    for row in rows:
        assert storage.have_same_size(row["stamp"], rows[0]["stamp"])
    expected = [{f"a-{kind} train", f"b-{kind} test"} for kind in ("local", "remote")]
    assert sorted(map(sorted, groups(videos_table(rows)))) == sorted(map(sorted, expected))
    assert groups(videos_table([rows[0], rows[2]])) == []


def test_a_disk_that_hangs_is_named_in_place_of_a_command_that_never_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(str(tmp_path), "a.mp4", b"same")
    stuck = write(str(tmp_path), "b.stuck.mp4", b"same")
    monkeypatch.setattr(equality, "DigestReader", partial(DigestReader, command=STUCK))
    with pytest.raises(StorageError, match=r"b\.stuck\.mp4: nothing came .* for 2 s"):
        equal_files(listed((first, "train"), (stuck, "test")), 2.0)


def test_equal_files_of_one_split_are_reported_and_do_not_cross(tmp_path: Path) -> None:
    places = [(write(str(tmp_path), name, b"same"), "test") for name in ("a.mp4", "b.mp4")]
    (group,) = equal_files(listed(*places), LIMIT_S)
    assert not group.crosses
    assert equal_files(listed(*places), LIMIT_S, crossing_alone=True) == []


def test_equal_files_with_two_labels_contradict_each_other(tmp_path: Path) -> None:
    uris = [write(str(tmp_path), name, b"same") for name in ("a.mp4", "b.mp4")]
    stamps = {file.uri: file.stamp for file in storage.list_stamped(f"{tmp_path}/clips")}
    rows = [
        make("clip", uri=uri, stamp=stamps[uri])
        for make, uri in zip((video_row, fake_row), uris, strict=True)
    ]
    (group,) = equal_files(videos_table(rows), LIMIT_S)
    assert group.contradicts


def test_files_of_other_sizes_are_not_opened(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("dfray.faces.digests.start", None)
    places = [
        (write(str(tmp_path), f"{size}.mp4", b"x" * size), split)
        for size in range(1, 6)
        for split in ("train", "test")
    ]
    distinct = [place for number, place in enumerate(places) if number % 2 == 0]
    assert groups(listed(*distinct)) == []


def test_objects_of_one_part_are_compared_without_a_request(bucket: str, s3_faults) -> None:
    uris = [write(bucket, name, b"same") for name in ("a.mp4", "b.mp4", "c.mp4")]
    videos = listed(
        *[(uri, split) for uri, split in zip(uris, ("train", "test", "test"), strict=True)]
    )
    s3_faults.requests.clear()
    (group,) = equal_files(videos, LIMIT_S, crossing_alone=True)
    assert len(group.members) == 3
    assert s3_faults.requests == []


def test_objects_that_were_uploaded_in_parts_are_compared_by_ranges(bucket: str) -> None:
    import boto3

    name, content = bucket.removeprefix("s3://"), os.urandom(11 * 2**20)
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    for key, chunk in (("clips/a.mp4", 5 * 2**20), ("clips/b.mp4", 6 * 2**20)):
        _upload(client, name, key, content, chunk)
    videos = listed((f"{bucket}/clips/a.mp4", "train"), (f"{bucket}/clips/b.mp4", "test"))
    assert len(set(videos["stamp"].to_pylist())) == 2
    assert groups(videos) == [{"corpus-0 train", "corpus-1 test"}]


def _upload(client, bucket: str, key: str, content: bytes, chunk: int) -> None:
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), chunk), 1):
        of_part = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        answer = client.upload_part(**of_part, Body=content[start : start + chunk])
        parts.append({"ETag": answer["ETag"], "PartNumber": number})
    client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
    )
