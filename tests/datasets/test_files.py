"""A corpus is listed in pages, whatever its size and wherever it lies; its files are not asked for."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.manifest import build_manifest
from dfray.errors import UserError
from tests.helpers.corpora import touch
from tests.helpers.videos import write_video

COUNT = 2400


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Requests that the S3 server answers, by method and kind of path."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    seen: Counter[str] = Counter()
    serve = DomainDispatcherApplication.__call__

    def counted(self: Any, environ: dict, start_response: Any) -> Any:
        is_listing = "list-type" in environ["QUERY_STRING"]
        seen[f"{environ['REQUEST_METHOD']} {'list' if is_listing else 'object'}"] += 1
        return serve(self, environ, start_response)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", counted)
    return seen


def put_forgerynet(bucket: str, count: int) -> str:
    """A corpus with a folder for each video, put into the S3 server from within; its root."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    names = [f"train_video_release/{k % 19}/{k:06x}/{k:08x}.mp4" for k in range(count)]
    lines = "\n".join(f"0 {name} {k % 2} {k % 2} {k % 2}" for k, name in enumerate(names))
    bucket_name = bucket.removeprefix("s3://")
    backend.put_object(bucket_name, "fnet/Training/video_list.txt", lines.encode())
    for name in names:
        backend.put_object(bucket_name, f"fnet/Training/video/{name}", b"")
    return f"{bucket}/fnet"


def test_on_s3_a_corpus_costs_a_few_calls_per_thousand_files(
    bucket: str, requests: Counter[str]
) -> None:
    root = put_forgerynet(bucket, COUNT)
    told: list[str] = []
    found = build_manifest(
        [CorpusSection(reader="forgerynet", root=root)],
        lambda done, total, detail: told.append(detail),
        opened=0,
    )
    assert found.videos.num_rows == COUNT
    assert found.missing == []
    assert requests["GET list"] <= 3 * COUNT / 1000
    assert requests.total() <= 4 * COUNT / 1000
    assert told[1] == "forgerynet: 2,000 files listed"
    assert told[-1] == "forgerynet: 2,401 files listed"


def test_on_s3_only_so_many_files_are_opened_as_is_said(
    bucket: str, requests: Counter[str], tmp_path: Path
) -> None:
    video = write_video(tmp_path / "a.mp4", frames=6, fps=2)
    for k in range(6):
        storage.put(video, f"{bucket}/clips/real/{k}.mp4")
        storage.put(video, f"{bucket}/clips/fake/{k}.mp4")
    requests.clear()
    corpus = CorpusSection(reader="folder", root=f"{bucket}/clips")
    found = build_manifest([corpus], opened=2)
    known = [length for length in found.videos["duration_s"].to_pylist() if length is not None]
    assert known == [pytest.approx(3.0)] * 2
    assert found.opened == 2
    assert requests["HEAD object"] <= 3
    assert requests["GET object"] <= 6


def test_on_disk_each_folder_is_read_once_and_no_file_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ("train/real/a", "train/FS/b", "train/FS/c", "test/real/d", "test/FS/e", "val/RE/f")
    touch(tmp_path, (f"{folder}/{k:05d}.mp4" for folder in folders for k in range(COUNT // 6)))
    scanned: list[str] = []
    scan, stat = os.scandir, os.stat
    looked_at: list[object] = []
    monkeypatch.setattr(os, "scandir", lambda path: scanned.append(str(path)) or scan(path))
    monkeypatch.setattr(os, "stat", lambda *a, **k: looked_at.append(a) or stat(*a, **k))
    found = build_manifest([CorpusSection(reader="folder", root=str(tmp_path))], opened=0)
    monkeypatch.undo()
    assert found.videos.num_rows == COUNT
    assert len(scanned) == len(set(scanned)) == 1 + 3 + 5 + 6
    assert len(looked_at) < 20


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")


def test_local_and_s3_are_listed_alike_and_images_by_folder(place: str) -> None:
    root = storage.join(place, "corpus ä")
    for name in ("b/x.mp4", "a/y.MOV", "a/meta.json", "f/1.png", "f/2.PNG", "f/g/1.jpg", "z.mp4"):
        storage.write_bytes(b"", storage.join(root, name))
    storage.write_bytes(b"", storage.join(place, "corpus äo", "other.mp4"))
    files = Files(root)
    assert list(files.videos()) == ["a/y.MOV", "b/x.mp4", "z.mp4"]
    assert list(files.videos("a")) == ["a/y.MOV"]
    assert list(files.named("meta.json")) == ["a/meta.json"]
    assert list(files.image_folders()) == ["f", "f/g"]
    assert [files.image_count(files.uri(folder)) for folder in ("f", "f/g", "a")] == [2, 1, 0]
    assert files.has(files.uri("b/x.mp4"))
    assert str(files.stamp(files.uri("b/x.mp4"))).startswith("0-")
    assert not files.has(files.uri("b/gone.mp4"))
    before = files.pictures_stamp(files.uri("f"))
    assert before == Files(storage.join(place, "elsewhere")).pictures_stamp(files.uri("f"))
    storage.write_bytes(b"other", files.uri("f", "1.png"))
    assert Files(root).pictures_stamp(files.uri("f")) != before
    beside = storage.join(place, "corpus äo")
    assert files.has(storage.join(beside, "other.mp4"))
    assert not files.has(storage.join(beside, "gone.mp4"))


def test_keys_with_two_slashes_are_videos_of_their_own_and_no_folder_of_pictures(
    bucket: str,
) -> None:
    for key in ("/a.mp4", "a.mp4", "f//a.mp4", "f//1.png", "f/1.png"):
        storage.write_bytes(key.encode(), f"{bucket}/{key}")
    files = Files(bucket)
    assert list(files.videos()) == ["/a.mp4", "a.mp4", "f//a.mp4"]
    for path in files.videos():
        assert storage.read_bytes(files.uri(path)) == path.encode()
        assert files.has(files.uri(path))
        assert Files(f"{bucket}/elsewhere").has(files.uri(path))
    assert [(path, files.image_count(files.uri(path))) for path in files.image_folders()] == [
        ("f", 1)
    ]
    assert [path for path, _ in files.left_out()] == ["f//1.png"]


def test_a_root_that_is_no_folder_is_refused(place: str) -> None:
    with pytest.raises(UserError, match="nowhere is not a folder"):
        list(Files(storage.join(place, "nowhere")).videos())


def linked(tmp_path: Path) -> Path:
    """A corpus with links to another disk, to a file and within itself; its root."""
    touch(tmp_path, ("disk2/a.mp4", "disk2/0.png", "corpus/real/b.mp4", "corpus/real/f/1.png"))
    corpus = tmp_path / "corpus"
    (corpus / "real/more").symlink_to(tmp_path / "disk2")
    (corpus / "real/c.mp4").symlink_to(tmp_path / "disk2/a.mp4")
    (corpus / "real/f/2.png").symlink_to(tmp_path / "disk2/0.png")
    (corpus / "real/d.mp4").symlink_to("b.mp4")
    (corpus / "real/up").symlink_to(corpus)
    return corpus


def test_a_link_out_of_the_corpus_is_followed_if_the_recipe_says_so_but_not_in_circles(
    tmp_path: Path,
) -> None:
    files = Files(str(linked(tmp_path)), follow_links=True)
    names = ["real/b.mp4", "real/c.mp4", "real/d.mp4", "real/more/a.mp4"]
    assert list(files.videos()) == names
    assert list(files.image_folders()) == ["real/f", "real/more"]


def test_a_link_out_of_the_corpus_is_else_left_out_and_counted(tmp_path: Path) -> None:
    corpus = linked(tmp_path)
    found = build_manifest([CorpusSection(reader="folder", root=str(corpus))], opened=0)
    names = [uri.rpartition("/")[2] for uri in found.videos["uri"].to_pylist()]
    assert names == ["b.mp4", "d.mp4"]
    assert found.missing == []
    told = [text for text in found.sentences() if "a link out of the corpus" in text]
    assert len(told) == 4, told
    followed = CorpusSection(reader="folder", root=str(corpus), follow_links=True)
    assert build_manifest([followed], opened=0).videos.num_rows == 4


def test_a_table_names_no_link_out_of_its_folder(tmp_path: Path) -> None:
    corpus = linked(tmp_path)
    lines = ["real/b.mp4,real,", "real/c.mp4,real,", "real/f,real,frames"]
    (corpus / "list.csv").write_text("\n".join(["uri,label,kind", *lines, ""]))
    section = CorpusSection(reader="csv", root=str(corpus / "list.csv"), split="test")
    found = build_manifest([section], opened=0)
    assert [uri.rpartition("/")[2] for uri in found.videos["uri"].to_pylist()] == ["b.mp4"]
    assert found.missing == []
    assert sum("a link out of the corpus" in text for text in found.sentences()) == 2
    followed = build_manifest([section.model_copy(update={"follow_links": True})], opened=0)
    assert followed.videos.num_rows == 3


def test_a_named_pipe_is_a_row_and_its_problem_is_told(tmp_path: Path) -> None:
    touch(tmp_path, ("real/a.mp4",))
    os.mkfifo(tmp_path / "real/b.mp4")
    (tmp_path / "real/c.mp4").symlink_to("c.mp4")
    found = build_manifest([CorpusSection(reader="folder", root=str(tmp_path))])
    assert found.videos.num_rows == 3
    problems = {video.rpartition("/")[2]: told for video, told in found.unreadable.items()}
    assert problems["a"] == "empty file"
    assert problems["b"] == "is a named pipe, not a file"
    assert "symbolic links" in problems["c"]
