"""Folders as people hold them: words of a path, repeated names, files that are no videos, drawn splits."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from dfray.config import CorpusSection
from dfray.datasets.manifest import Manifest, build_manifest
from dfray.datasets.readers.drawn_splits import keys_of, split_of
from dfray.errors import ManifestError
from tests.helpers.corpora import touch, write

SPLITS = ("train", "val", "test")


def read(root: Path, reader: str = "folder", **more: Any) -> Manifest:
    return build_manifest([CorpusSection(reader=reader, root=str(root), **more)], opened=0)


def by_name(manifest: Manifest, column: str) -> dict[str, Any]:
    """File's name -> a column of its row."""
    rows = manifest.videos.to_pylist()
    return {row["uri"].rpartition("/")[2]: row[column] for row in rows}


def left_out(manifest: Manifest) -> dict[tuple[str | None, str], int]:
    return {(item.suffix, item.reason): n for item, n in manifest.left_out.items()}


def remarks(manifest: Manifest) -> dict[str, int]:
    return {remark.text: n for remark, n in manifest.remarks.items()}


@pytest.mark.parametrize(
    ("path", "row"),
    [
        # what was read before, its id unchanged
        ("train/real/a.mp4", ("train", "real", "x/real/a")),
        ("test/FS/swap/a.mp4", ("test", "FS", "x/swap/a")),
        ("val/RE/deep/er/a.mp4", ("val", "RE", "x/deep/er/a")),
        ("train/fake/test/a.mp4", ("train", "fake", "x/test/a")),
        ("test/Real/a.b.mp4", ("test", "real", "x/real/a.b")),
        # the split below the class, in any case and form
        ("real/test/a.mp4", ("test", "real", "x/real/a")),
        ("fake/Deepfakes/val/a.mp4", ("val", "fake", "x/Deepfakes/a")),
        ("fake/Testing/swap/a.mp4", ("test", "fake", "x/swap/a")),
        ("Validation/RE/a.mp4", ("val", "RE", "x/RE/a")),
        ("fake/test_clips/a.mp4", ("test", "fake", "x/test_clips/a")),
        # the class below the method, or in a folder's name
        ("train/studio/fake/a.mp4", ("train", "fake", "x/studio/a")),
        ("fake_test/a.mp4", ("test", "fake", "x/fake/a")),
        ("train/0_real/a.mp4", ("train", "real", "x/0_real/a")),
    ],
)
def test_words_of_the_path_give_split_class_and_method(
    path: str, row: tuple[str, str, str], tmp_path: Path
) -> None:
    touch(tmp_path / "x", (path,))
    (found,) = read(tmp_path / "x").videos.to_pylist()
    assert (found["split"], found["category"], found["video_id"]) == row


def test_of_several_words_the_outermost_counts_and_it_is_said(tmp_path: Path) -> None:
    touch(tmp_path, ("test/real/train/a.mp4", "val/fake/real/b.mp4", "val/real/train_2/c.mp4"))
    manifest = read(tmp_path)
    assert by_name(manifest, "split") == {"a.mp4": "test", "b.mp4": "val", "c.mp4": "val"}
    assert by_name(manifest, "label") == {"a.mp4": 0, "b.mp4": 1, "c.mp4": 0}
    assert remarks(manifest) == {
        "several split words in its path: the outermost counts": 1,
        "real and fake in its path: the outermost counts": 1,
    }


def test_the_name_of_the_root_is_a_split_where_no_folder_below_it_is(tmp_path: Path) -> None:
    touch(tmp_path / "Test", ("real/a.mp4", "fake/train/b.mp4"))
    manifest = read(tmp_path / "Test", dataset="mine")
    assert by_name(manifest, "split") == {"a.mp4": "test", "b.mp4": "train"}
    assert remarks(manifest) == {"no split word below the root: the name of the root counts": 1}


def test_a_drawn_split_is_stated(tmp_path: Path) -> None:
    touch(tmp_path / "x", (f"{c}/{c}{k}.mp4" for c in ("real", "fake") for k in range(30)))
    touch(tmp_path / "x", ("test/real/r.mp4",))
    manifest = read(tmp_path / "x")
    text = "no split is stated: drawn by a hash of the name (train 80, val 10, test 10 %)"
    assert remarks(manifest) == {text: 60}
    assert f"60 of x: {text}." in manifest.sentences()
    assert by_name(manifest, "split")["real7.mp4"] == split_of("real7")
    assert set(by_name(manifest, "split").values()) == set(SPLITS)


def test_people_in_names_like_those_of_faceforensics_stay_together(tmp_path: Path) -> None:
    pairs = [(f"{2 * k:03d}", f"{2 * k + 1:03d}") for k in range(40)]
    for a, b in pairs:
        touch(tmp_path, (f"real/{a}.mp4", f"real/{b}.mp4"))
        touch(
            tmp_path, (f"fake/{m}/{p}.mp4" for m in ("DF", "NT") for p in (f"{a}_{b}", f"{b}_{a}"))
        )
    manifest = read(tmp_path)
    split = by_name(manifest, "split")
    for a, b in pairs:
        assert len({split[f"{name}.mp4"] for name in (a, b, f"{a}_{b}", f"{b}_{a}")}) == 1
    assert set(split.values()) == set(SPLITS)
    assert manifest.remarks.total() == manifest.videos.num_rows


def test_several_sources_of_one_person_stay_together_without_the_real_videos() -> None:
    keys = keys_of(["000_003", "003_000", "000_007", "100_200", "phone", "20240101_123456"])
    assert keys["000_003"] == keys["003_000"] == keys["000_007"]
    assert keys["100_200"] != keys["000_003"]
    assert (keys["phone"], keys["20240101_123456"]) == ("phone", "20240101_123456")


def test_the_person_filmed_in_celeb_df_keeps_one_split() -> None:
    keys = keys_of(["id0_0001", "id0_id9_0001", "id9_0000", "00012"])
    assert keys == {"id0_0001": "id0", "id0_id9_0001": "id0", "id9_0000": "id9", "00012": "00012"}


def test_numbers_of_clips_do_not_link_all_people() -> None:
    names = [f"{person:04d}_{clip:04d}" for person in range(60) for clip in range(60)]
    keys = keys_of(names)
    assert {keys[name] for name in names} == {f"{person:04d}" for person in range(60)}


def test_numbering_may_start_anew_in_each_split_class_and_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "x", (f"{s}/{c}/0000.mp4" for s in SPLITS for c in ("real", "fake")))
    touch(tmp_path / "x", ("train/real/youtube/1.mp4", "train/fake/youtube/1.mp4"))
    touch(tmp_path / "x", ("train/real/2.mp4", "train/real/2.avi", "train/real/3.mp4"))
    rows = read(tmp_path / "x").videos.to_pylist()
    ids = {row["video_id"]: (row["split"], row["label"]) for row in rows}
    assert len(ids) == len(rows) == 11
    assert ids["x/fake/val/fake/0000"] == ("val", 1)
    assert ids["x/youtube/train/real/youtube/1"] == ("train", 0)
    assert {"x/real/train/real/2.mp4", "x/real/train/real/2.avi", "x/real/3"} < ids.keys()


def test_every_file_that_is_not_taken_is_counted_by_suffix_and_reason(tmp_path: Path) -> None:
    touch(tmp_path / "x", ("test/real/a.mp4", "test/fake/b.mp4"))
    touch(
        tmp_path / "x", ("notes.txt", "a/b.TXT", "LICENSE", "cover.png", "more/1.jpg", "more/2.jpg")
    )
    touch(tmp_path / "x", ("intro.mp4", "more.tar.gz", "even.zip", ".hidden"))
    manifest = read(tmp_path / "x")
    assert left_out(manifest) == {
        (".txt", "no video"): 2,
        ("", "no video"): 2,
        (".png", "not in a place or list that reader folder reads"): 1,
        (".jpg", "not in a place or list that reader folder reads"): 2,
        (".mp4", "its folders do not say whether it is real or fake"): 1,
        (".gz", "an archive, unpacked beside it"): 1,
        (".zip", "an archive: unpack it"): 1,
    }
    root = tmp_path / "x"
    assert f"2 .txt of x are left out: no video (such as {root}/a/b.TXT)." in manifest.sentences()


def test_what_macos_adds_is_no_video_and_is_counted(tmp_path: Path) -> None:
    touch(
        tmp_path,
        (f"test/{c}/{name}" for c in ("real", "fake") for name in (f"{c}.mp4", f"._{c}.mp4")),
    )
    touch(tmp_path, ("__MACOSX/test/real/._real.mp4", "__MACOSX/test/real/r.mp4"))
    manifest = read(tmp_path)
    assert sorted(by_name(manifest, "label")) == ["fake.mp4", "real.mp4"]
    assert left_out(manifest) == {(".mp4", "made by macOS beside the file (._*, __MACOSX)"): 4}


def test_a_name_that_is_not_utf8_costs_itself(tmp_path: Path) -> None:
    touch(tmp_path, ("test/real/a.mp4", "test/fake/b.mp4"))
    for name in (b"\xc4\xe3.mp4", b"\xff.png"):
        Path(tmp_path, "test/fake", os.fsdecode(name)).touch()
    manifest = read(tmp_path)
    assert manifest.videos.num_rows == 2
    assert set(left_out(manifest).values()) == {1}
    assert {reason for _, reason in left_out(manifest)} == {"its name is not UTF-8: rename it"}
    assert r"\xc4\xe3.mp4" in "\n".join(manifest.sentences())


def test_folders_without_a_class_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, ("test/a.mp4",))
    with pytest.raises(ManifestError, match=r"test/a.mp4: its folders do not say whether"):
        read(tmp_path)


def test_a_root_without_videos_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, ("real/1.png", "real/2.png", "list.txt"))
    with pytest.raises(ManifestError, match=r"holds no video, but 2 \.png, 1 \.txt"):
        read(tmp_path)


def write_csv(root: Path, *rows: str, columns: str = "uri,label") -> Path:
    touch(root, (row.partition(",")[0] for row in rows))
    write(root, "list.csv", "\n".join([columns, *rows]) + "\n")
    return root / "list.csv"


def test_one_name_in_two_folders_of_a_csv_is_two_videos(tmp_path: Path) -> None:
    rows = [f"p{k:02d}/video.mp4,real" for k in range(40)]
    table = write_csv(tmp_path, *rows, "other/clip.mp4,real", "a/0001.mp4,fake", "b/0001.mp4,real")
    manifest = read(table, "csv")
    ids = {row["video_id"]: row["split"] for row in manifest.videos.to_pylist()}
    assert len(ids) == 43
    assert ids.keys() >= {
        "list/real/p00/video",
        "list/real/clip",
        "list/fake/0001",
        "list/real/0001",
    }
    assert {split for name, split in ids.items() if name.endswith("/video")} == set(SPLITS)
    assert ids["list/fake/0001"] == ids["list/real/0001"]
    assert manifest.remarks.total() == 43


def test_a_video_that_a_csv_names_twice_is_refused(tmp_path: Path) -> None:
    table = write_csv(tmp_path, "a/v.mp4,real", "a/v.mp4,real", "b/v.mp4,real")
    with pytest.raises(ManifestError, match=r"share an id: list/real/a/v \("):
        read(table, "csv")


def test_a_csv_draws_splits_by_identity_or_by_people_and_says_so(tmp_path: Path) -> None:
    table = write_csv(
        tmp_path,
        *(
            "000.mp4,real,,",
            "003.mp4,real,,",
            "000_003.mp4,fake,,",
            "x.mp4,real,,ann",
            "y.mp4,fake,val,",
        ),
        columns="uri,label,split,identity",
    )
    manifest = read(table, "csv")
    splits = defaultdict(set)
    for name, split in by_name(manifest, "split").items():
        splits[name[:2]].add(split)
    assert splits == {"00": {split_of("000")}, "x.": {split_of("ann")}, "y.": {"val"}}
    assert sum("drawn" in sentence for sentence in manifest.sentences()) == 3
