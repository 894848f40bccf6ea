"""Storage: local and s3 alike, atomic, bounded in its retries, clear in its errors."""

import os
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import StorageError
from dfray.storage import copies


def test_what_is_written_is_read_back(place):
    uri = storage.join(place, "a folder", "ä.bin")
    storage.write_bytes(b"faces", uri)
    assert storage.exists(uri)
    assert storage.read_bytes(uri) == b"faces"
    with storage.local_copy(uri) as path, open(path, "rb") as file:
        assert file.read() == b"faces"


def test_of_a_long_file_the_beginning_is_read(place):
    for content in (b"", b"faces", b"many faces"):
        uri = storage.join(place, "f")
        storage.write_bytes(content, uri)
        assert storage.read_bytes(uri, at_most=5) == content[:5]


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


NAMES = (
    "a::b.mp4",
    "s3::c.mp4",
    "x#1?versionId=2&y.mp4",
    "100%25 of [it]*?.mp4",
    " blanks at both ends ",
    "plus+and=at@;,'\"$&.mp4",
    "~tilde",
    "back\\slash{a,b}",
    "ä é 你好.mp4",
)
KEYS = ("/a.mp4", "a.mp4", "//a.mp4", "x//a.mp4", "x/a.mp4", "x:///b.mp4", "n" * 300 + ".mp4")


def contents(uris: list[str]) -> list[bytes]:
    """What every way of reading gives, which must be one."""
    by_copy = []
    for uri in uris:
        with storage.local_copy(uri) as path, open(path, "rb") as file:
            by_copy.append(file.read())
        fs, path = storage.filesystem(uri)
        with fs.open(path, "rb") as file:
            assert file.read() == by_copy[-1]
        assert storage.exists(uri)
    with storage.local_copies(uris) as paths:
        assert [Path(path).read_bytes() for path in paths] == by_copy
    assert [storage.read_bytes(uri) for uri in uris] == by_copy
    return by_copy


def test_every_name_that_a_listing_gives_is_read_as_itself(place):
    folder = storage.join(place, "a::b #?%20*[x]")
    for name in NAMES:
        storage.write_bytes(name.encode(), storage.join(folder, name))
    storage.write_bytes(b"deeper", storage.join(folder, "deeper", NAMES[0]))
    direct = [storage.join(folder, name) for name in sorted(NAMES)]
    below = storage.join(folder, "deeper", NAMES[0])
    assert storage.list_files(folder) == direct
    assert sorted(storage.walk_files(folder)) == sorted([*direct, below])
    assert contents([*direct, below]) == [*(name.encode() for name in sorted(NAMES)), b"deeper"]
    assert not storage.exists(storage.join(place, "a"))


def test_every_key_that_a_bucket_lists_is_read_as_itself(bucket):
    for key in KEYS:
        storage.write_bytes(key.encode(), f"{bucket}/{key}")
    walked = list(storage.walk_files(bucket))
    assert sorted(walked) == sorted(f"{bucket}/{key}" for key in KEYS)
    assert contents(walked) == [uri.removeprefix(f"{bucket}/").encode() for uri in walked]
    assert storage.list_files(f"{bucket}/x") == [f"{bucket}/x/a.mp4"]


def test_names_below_a_file_uri_are_read_as_themselves(tmp_path):
    names = [*NAMES, "two\nlines\r.mp4"]
    for name in names:
        (tmp_path / name).write_text(name)
    root = f"file://{tmp_path}"
    for uris in (storage.list_files(root), list(storage.walk_files(root))):
        assert len(uris) == len(names)
        assert contents(uris) == [uri.rpartition("/")[2].encode() for uri in uris]


def test_a_name_that_is_not_utf8_is_read_and_its_errors_can_be_printed(tmp_path):
    name = os.fsdecode(b"\xc4\xe3\xba\xc3.mp4")
    (tmp_path / name).write_bytes(b"x")
    (uri,) = storage.list_files(str(tmp_path))
    assert list(storage.walk_files(str(tmp_path))) == [uri]
    assert contents([uri]) == [b"x"]
    os.unlink(uri)
    with pytest.raises(StorageError) as failed:
        storage.read_bytes(uri)
    assert str(failed.value).encode()


def test_every_entry_of_a_folder_is_listed_and_no_circle_is_followed(tmp_path):
    """A pipe, and links that lead nowhere or to themselves: to read them gives the reason."""
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/1.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "links/gone.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "links/self.png").symlink_to(tmp_path / "links/self.png")
    (tmp_path / "links/up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "links/pipe.mp4")
    names = ("1.png", "gone.png", "pipe.mp4", "self.png")
    links = [str(tmp_path / "links" / name) for name in names]
    assert storage.list_files(str(tmp_path / "links")) == links
    assert list(storage.walk_files(str(tmp_path / "links"))) == links
    stamps = [file.stamp is None for file in storage.list_stamped(str(tmp_path / "links"))]
    assert stamps == [False, True, True, True]


def test_links_out_of_a_folder_are_followed_only_where_it_is_asked_for(tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name in ("in/a.mp4", "out/b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "in/sub/inside.mp4").symlink_to("../a.mp4")
    (tmp_path / "in/sub/outside.mp4").symlink_to(tmp_path / "out/b.mp4")
    (tmp_path / "in/folder").symlink_to(tmp_path / "out")
    root = str(tmp_path / "in")
    followed = [file.uri[len(root) + 1 :] for file in storage.walk_stamped(root)]
    assert followed == ["a.mp4", "folder/b.mp4", "sub/inside.mp4", "sub/outside.mp4"]
    walked = [
        (file.uri[len(root) + 1 :], file.leaves)
        for file in storage.walk_stamped(root, follow_links=False)
    ]
    assert walked == [
        ("a.mp4", False),
        ("folder", True),
        ("sub/inside.mp4", False),
        ("sub/outside.mp4", True),
    ]
