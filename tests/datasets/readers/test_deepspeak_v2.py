"""DeepSpeak v2: its split by person, its engines and its lists when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import classes, read, rows


def test_deepspeak_is_split_by_person_and_its_engines_have_categories(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    manifest = read("deepspeak_v2", tmp_path)
    assert classes(manifest) == {
        (split, category): 1 if category in ("real", "FS") else {"RE": 2, "TF": 3}[category]
        for split in ("train", "test")
        for category in ("real", "FS", "RE", "TF")
    }
    row = rows(manifest)["deepspeak-v2/memo/memo-1101-1100-playht"]
    assert (row["identity"], row["source_video"]) == ("11", "deepspeak-v2/real/11-1100")
    assert row["source_video"] in rows(manifest)


def test_deepspeak_says_whose_donor_is_of_the_other_split(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    table = tmp_path / "annotations-fake.csv"
    table.write_text(table.read_text().replace("facefusion,11,11", "facefusion,12,11"))
    manifest = read("deepspeak_v2", tmp_path)
    ((remark, count),) = manifest.remarks.items()
    assert (count, "of the other split" in remark.text) == (1, True)
    assert rows(manifest)["deepspeak-v2/facefusion/facefusion-1101-1100-playht"]["split"] == "train"


def test_deepspeak_says_how_many_fakes_have_no_source(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    table = tmp_path / "annotations-fake.csv"
    table.write_text(table.read_text().replace("recording-target", "other"))
    manifest = read("deepspeak_v2", tmp_path)
    ((remark, count),) = manifest.remarks.items()
    fakes = [row for row in rows(manifest).values() if row["label"]]
    assert (count, "no source_video" in remark.text) == (len(fakes), True)
    assert {row["source_video"] for row in fakes} == {None}


def test_deepspeak_leaves_out_people_without_a_split(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    write(tmp_path, "annotations-split-def.csv", "identity,split\n11,train\n")
    manifest = read("deepspeak_v2", tmp_path)
    assert [(rule.reason, n) for rule, n in manifest.left_out.items()] == [
        ("its person is not in annotations-split-def.csv", 7)
    ]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("annotations-split-def.csv", "identity,split\n11,val\n", "line 2: 'val' is no split"),
        ("annotations-split-def.csv", "identity,split\n11,test\n11,train\n", "line 3: 'train'"),
        ("annotations-real.csv", "file,identity\n", r"lacks the column\(s\) video-file"),
        ("annotations-real.csv", "video-file,identity\n,11\n", "a row without a name"),
        (
            "annotations-fake.csv",
            "video-file,engine,identity-target\na,wav2lip,11\n",
            r"line 2: unknown engine 'wav2lip'.*DeepSpeak v1",
        ),
    ],
)
def test_deepspeak_refuses_a_broken_list_by_name(
    path: str, text: str, told: str, tmp_path: Path
) -> None:
    corpora.deepspeak_v2(tmp_path)
    write(tmp_path, path, text)
    with pytest.raises(ManifestError, match=told):
        read("deepspeak_v2", tmp_path)
