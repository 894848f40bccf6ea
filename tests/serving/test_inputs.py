"""What `dfray score` takes: any form of input gives the videos and pictures that it names, once each."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfray import storage
from dfray.errors import UserError
from dfray.serving.inputs import MediaInput, expand_inputs

MEDIA = ["a.mp4", "b/c.MKV", "b/deep/d.png", "b/deep/e.jpg"]
OTHERS = ["notes.txt", "b/._c.mkv", "__MACOSX/a.mp4", "list.csv"]


@pytest.fixture(params=["disk", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with MEDIA and OTHERS, on a disk and in a bucket."""
    place = str(tmp_path) if request.param == "disk" else request.getfixturevalue("bucket")
    for name in MEDIA + OTHERS:
        storage.write_bytes(b"x", storage.join(place, name))
    return place


def uris(*names: str, lines: tuple[str, ...] = ()) -> list[str]:
    return [item.uri for item in expand_inputs(names, lines)]


def test_a_folder_gives_the_videos_and_pictures_below_it(root: str) -> None:
    assert sorted(uris(root)) == sorted(storage.join(root, name) for name in MEDIA)
    assert sorted(uris(f"{root}/b/")) == sorted(storage.join(root, name) for name in MEDIA[1:])


def test_a_pattern_gives_what_it_matches(root: str) -> None:
    assert uris(f"{root}/*.mp4") == [f"{root}/a.mp4"]
    assert uris(f"{root}/b/*") == [f"{root}/b/c.MKV"]
    assert uris(f"{root}/**/[de].???") == [f"{root}/b/deep/d.png", f"{root}/b/deep/e.jpg"]


def test_a_name_is_taken_literally_if_it_exists_or_is_no_pattern(root: str) -> None:
    odd = storage.join(root, "clip [1].mp4")
    storage.write_bytes(b"x", odd)
    assert uris(odd) == [odd]
    assert uris(f"{root}/gone.mp4") == [f"{root}/gone.mp4"]


def test_a_csv_names_files_relative_to_itself(root: str) -> None:
    rows = "label,uri\nreal,a.mp4\nfake,s3://other/x.mp4\nfake,/disk/y.mp4\n"
    storage.write_bytes(rows.encode(), storage.join(root, "list.csv"))
    assert uris(f"{root}/list.csv") == [f"{root}/a.mp4", "s3://other/x.mp4", "/disk/y.mp4"]


def test_a_manifest_says_which_folders_are_one_video(root: str) -> None:
    manifest = {"uri": [f"{root}/a.mp4", f"{root}/b/deep"], "kind": ["video", "frames"]}
    local = Path(os.environ.get("TMPDIR", "/tmp"), f"manifest-{os.getpid()}.parquet")
    pq.write_table(pa.table(manifest | {"stride": [1, 2]}), local)
    storage.put(local, f"{root}/videos.parquet")
    local.unlink()
    assert list(expand_inputs([f"{root}/videos.parquet"])) == [
        MediaInput(f"{root}/a.mp4"),
        MediaInput(f"{root}/b/deep", "frames", 2),
    ]


def test_standard_input_gives_a_name_a_line_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read = []

    def lines():
        for line in ("one.mp4\n", "\n", "s3://b/two.mp4\r\n", "three *.png"):
            read.append(line)
            yield line

    inputs = expand_inputs(["-"], lines())
    assert read == []
    assert next(inputs).uri == str(tmp_path / "one.mp4")
    assert len(read) == 1
    assert [item.uri for item in inputs] == ["s3://b/two.mp4", str(tmp_path / "three *.png")]


def test_an_input_that_is_named_twice_is_scored_once(root: str) -> None:
    assert uris(f"{root}/a.mp4", f"{root}/*.mp4", root)[0] == f"{root}/a.mp4"
    assert len(uris(f"{root}/a.mp4", f"{root}/*.mp4", root)) == len(MEDIA)


@pytest.mark.parametrize("name", ["__MACOSX", "*.avi"])
def test_an_input_that_gives_nothing_is_refused_before_anything_is_scored(
    root: str, name: str
) -> None:
    with pytest.raises(UserError, match="gives no video and no picture"):
        expand_inputs([f"{root}/a.mp4", f"{root}/{name}"])


def test_a_list_that_cannot_be_read_is_refused_with_its_fault(tmp_path: Path) -> None:
    (tmp_path / "paths.csv").write_text("path,label\na.mp4,real\n")
    (tmp_path / "text.parquet").write_text("no Parquet")
    for name, fault in {
        "paths.csv": "has no column uri, video or input; it has path, label",
        "text.parquet": "is no Parquet file",
    }.items():
        with pytest.raises(UserError, match=fault):
            expand_inputs([str(tmp_path / name)])


def test_an_odd_row_of_a_list_is_an_input_with_its_fault_and_the_others_stay(root: str) -> None:
    rows = (
        "real,a.mp4",
        "real",
        "fake,  ,",
        "fake,a.mp4,film",
        "fake,a.mp4,,²",
        "real,b/c.MKV,video,1",
    )
    uri = storage.join(root, "list.csv")
    storage.write_bytes("\n".join(("label,uri,kind,stride", *rows)).encode(), uri)
    found = list(expand_inputs([uri, uri]))
    assert found[0] == MediaInput(f"{root}/a.mp4")
    assert found[-1] == MediaInput(f"{root}/b/c.MKV")
    assert [item.uri for item in found[1:-1]] == [f"{uri}, row {k}" for k in (2, 3, 4, 5)]
    for item, words in zip(
        found[1:-1],
        (
            "Row 2 of the list: None names no file; give the name of a video or a picture",
            "Row 3 of the list: '  ' names no file",
            "the kind of a.mp4 is 'film'; it is video, frames or faces",
            "the stride of a.mp4 is '²'; give a whole number of 1 or more",
        ),
        strict=True,
    ):
        assert words in item.fault


def test_odd_values_of_a_parquet_list_cost_their_rows_alone(tmp_path: Path) -> None:
    columns = {"video": ["a.mp4", None, "b.mp4"], "kind": ["faces", "video", None]}
    pq.write_table(pa.table(columns | {"stride": [2, 1, -1]}), tmp_path / "list.parquet")
    pq.write_table(pa.table({"video": [7]}), tmp_path / "numbers.parquet")
    first, second, third = expand_inputs([str(tmp_path / "list.parquet")])
    assert first == MediaInput(str(tmp_path / "a.mp4"), "faces", 2)
    assert "None names no file" in second.fault
    assert "the stride of b.mp4 is -1" in third.fault
    (number,) = expand_inputs([str(tmp_path / "numbers.parquet")])
    assert "7 names no file" in number.fault
