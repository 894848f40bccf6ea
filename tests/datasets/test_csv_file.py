"""A table of videos of one's own: any files in any folders; an odd row costs itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfray.config import CorpusSection
from dfray.datasets.manifest import build_manifest
from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import classes, read, rows


def test_a_collection_from_the_wild_is_a_table(tmp_path: Path) -> None:
    corpora.touch(tmp_path, ("v/a.mp4", "v/b.mp4", "crops/c/0.png", "crops/c/1.png"))
    table = "uri,label,kind\nv/a.mp4,real,\nv/b.mp4,fake,\ncrops/c,fake,faces\ncrops/d,real,faces\n"
    write(tmp_path, "itw.csv", table)
    manifest = read("csv", tmp_path / "itw.csv", split="test")
    assert classes(manifest) == {("test", "real"): 1, ("test", "fake"): 2}
    assert rows(manifest)["itw/fake/c"]["n_images"] == 2
    assert manifest.missing == [str(tmp_path / "crops/d")]


def test_columns_that_the_recipe_names_are_attributes(tmp_path: Path) -> None:
    corpora.touch(tmp_path, ("a.mp4", "b.mp4", "c.mp4"))
    table = (
        "uri,label,age,skin_tone,notes\na.mp4,real,30-39,V,long\nb.mp4,fake,,II,\nc.mp4,fake,,,x\n"
    )
    write(tmp_path, "list.csv", table)
    named = ["age", "skin_tone"]
    manifest = read("csv", tmp_path / "list.csv", split="test", attributes=named)
    assert [row["attributes"] for row in rows(manifest).values()] == [
        '{"age": "30-39", "skin_tone": "V"}',
        '{"skin_tone": "II"}',
        None,
    ]


def test_an_attribute_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "list.csv", "uri,label,age\na.mp4,real,30\n")
    with pytest.raises(ManifestError, match=r"lacks the column\(s\) skin_tone"):
        read("csv", tmp_path / "list.csv", attributes=["skin_tone"])


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("duration_s", "long", r"duration_s 'long' is no number"),
        ("kind", "film", r"Unknown kind of itw/real/a \('film'\)"),
    ],
)
def test_a_wrong_value_in_a_table_is_refused(
    column: str, value: str, told: str, tmp_path: Path
) -> None:
    corpora.touch(tmp_path, ("a/0.png", "a.mp4"))
    uri = "a.mp4" if column == "duration_s" else "a"
    write(tmp_path, "itw.csv", f"uri,label,split,kind,{column}\n{uri},real,test,frames,{value}\n")
    if column == "kind":
        write(tmp_path, "itw.csv", f"uri,label,split,kind\n{uri},real,test,{value}\n")
    with pytest.raises(ManifestError, match=told):
        read("csv", tmp_path / "itw.csv")


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        *(
            ("stride", value, "stride")
            for value in ("-1", "0", "x", "1.5", "nan", "1e400", "9" * 40)
        ),
        ("note", "x" * 2**20, "field larger than field limit"),
        ("note", '"never closed' + "x" * 2**20, "field larger than field limit"),
    ],
)
def test_an_odd_row_of_a_table_costs_itself(
    column: str, value: str, told: str, tmp_path: Path
) -> None:
    corpora.touch(tmp_path, ("a/0.png", "b/0.png"))
    rows = f"a,fake,frames,{value}\nb,real,frames,\n"
    write(tmp_path, "itw.csv", f"uri,label,kind,{column}\n{rows}")
    manifest = read("csv", tmp_path / "itw.csv", split="test")
    assert manifest.videos["video_id"].to_pylist() == ["itw/real/b"]
    (sentence,) = (text for text in manifest.sentences() if "line 2" in text)
    assert told in sentence


def test_a_uri_of_a_scheme_that_is_not_fetched_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpora.touch(tmp_path, ("a.mp4",))
    write(tmp_path, "itw.csv", "uri,label\na.mp4,real\nrtmp://host/b.mp4,fake\n")
    manifest = read("csv", tmp_path / "itw.csv", split="test")
    assert manifest.videos["video_id"].to_pylist() == ["itw/real/a"]
    (sentence,) = (text for text in manifest.sentences() if "left out" in text)
    assert "rtmp:// is not fetched" in sentence


def test_a_list_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "itw.csv")
    with pytest.raises(ManifestError, match="is a named pipe, not a file"):
        read("csv", tmp_path / "itw.csv")


def test_two_corpora_that_label_one_file_differently_are_refused_by_name(tmp_path: Path) -> None:
    corpora.touch(tmp_path, ("a.mp4",))
    for name, label in (("first", "real"), ("second", "fake")):
        write(tmp_path, f"{name}.csv", f"uri,label\na.mp4,{label}\n")
    lists = [
        CorpusSection(reader="csv", root=str(tmp_path / f"{name}.csv"))
        for name in ("first", "second")
    ]
    with pytest.raises(
        ManifestError, match=r"a.mp4 is real in \S+first.csv line 2 and fake in \S+second.csv"
    ):
        build_manifest(lists, opened=0)
