"""A listing tells size and version of each file at once; a digest tells contents of one size apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfray import storage


def stamps(place: str) -> dict[str, str | None]:
    walked = list(storage.walk_stamped(place))
    assert walked == storage.list_stamped(place)
    return {file.uri.rpartition("/")[2]: file.stamp for file in walked}


def test_an_overwritten_file_has_another_stamp(place: str) -> None:
    for name in ("a", "b"):
        storage.write_bytes(b"first", storage.join(place, "x", name))
    before = stamps(storage.join(place, "x"))
    assert {str(stamp).partition("-")[0] for stamp in before.values()} == {"5"}
    storage.write_bytes(b"other", storage.join(place, "x", "a"))
    after = stamps(storage.join(place, "x"))
    assert after["a"] != before["a"]
    assert storage.have_same_size(str(after["a"]), str(before["a"]))
    assert after["b"] == before["b"]


def test_a_link_that_leads_nowhere_has_none(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert stamps(str(tmp_path)) == {"gone": None}


def test_a_folder_is_stamped_by_its_files_in_any_order() -> None:
    def stamp(*files: tuple[str, str]) -> str:
        folder = storage.FolderStamp()
        for file in files:
            folder.add(*file)
        return str(folder)

    a, b = ("a", "1-x"), ("b", "2-y")
    assert stamp(a, b) == stamp(b, a)
    assert storage.have_same_size(stamp(a, b), stamp(a, ("b", "2-z")))
    assert stamp(a, b) != stamp(a, ("b", "2-z"))
    for other in (("b", "3-y"), ("c", "2-y")):
        assert not storage.have_same_size(stamp(a, b), stamp(a, other))


@pytest.mark.parametrize("n_bytes", [0, 9, 2**16, 2**20, 2**23 + 1])
def test_the_digest_of_a_file_depends_on_its_bytes(tmp_path: Path, n_bytes: int) -> None:
    data = os.urandom(n_bytes)
    one, two, three = (str(tmp_path / name) for name in "123")
    for path, content in ((one, data), (two, data), (three, data[:-1] + b"+" * bool(data))):
        Path(path).write_bytes(content)
    assert storage.sample_digest([one]) == storage.sample_digest([two])
    assert (storage.sample_digest([one]) == storage.sample_digest([three])) == (n_bytes == 0)


def test_a_hole_of_an_eighth_changes_the_digest(tmp_path: Path) -> None:
    data = bytearray(os.urandom(2**23))
    (tmp_path / "whole").write_bytes(data)
    data[2**22 : 2**22 + 2**20] = bytes(2**20)
    (tmp_path / "hole").write_bytes(data)
    digests = {storage.sample_digest([str(tmp_path / name)]) for name in ("whole", "hole")}
    assert len(digests) == 2


def test_of_many_files_some_are_read(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}.png" for number in range(100)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]))
    before = storage.sample_digest(list(map(str, paths)))
    paths[0].write_bytes(b"+")
    assert storage.sample_digest(list(map(str, paths))) not in (before, None)


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    assert storage.sample_digest([str(tmp_path / "gone")]) is None
    assert storage.sample_digest(["s3://bucket/clip.mp4"]) is None


def test_a_pipe_that_nobody_writes_to_has_no_digest_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "silent.mp4")
    assert storage.sample_digest([str(tmp_path / "silent.mp4")]) is None


@pytest.mark.parametrize("n_bytes", [0, 1000, 2**20, 2**21 + 1])
def test_an_object_has_the_digest_of_its_local_copy(
    bucket: str, tmp_path: Path, n_bytes: int
) -> None:
    content = os.urandom(n_bytes)
    (tmp_path / "copy").write_bytes(content)
    storage.write_bytes(content, f"{bucket}/clip")
    local = storage.sample_digest([str(tmp_path / "copy")])
    assert storage.remote_sample_digest(f"{bucket}/clip", n_bytes) == local


def test_only_the_tag_of_an_object_of_one_part_tells_its_content() -> None:
    md5 = "9e107d9d372bb6826bd81d3542a419d6"
    assert storage.tells_content(f"43-{md5}")
    assert not storage.tells_content(f"43-{md5}-2")
    assert not storage.tells_content("43-1790000000000000000")
