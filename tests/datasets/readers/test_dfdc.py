"""DFDC: the splits of its archives, and its lists when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import classes, read, rows


def test_dfdc_has_the_splits_of_its_archives_and_the_originals(tmp_path: Path) -> None:
    corpora.dfdc(tmp_path)
    manifest = read("dfdc", tmp_path)
    assert classes(manifest) == {
        (split, category): 2 if split == "train" else 1
        for split in ("train", "val", "test")
        for category in ("real", "FS")
    }
    assert rows(manifest)["dfdc/fake/bbbbbbbbbb"]["source_video"] == "dfdc/real/aaaaaaaaaa"


def test_dfdc_refuses_two_lists_that_contradict_each_other(tmp_path: Path) -> None:
    corpora.dfdc(tmp_path)
    write(tmp_path, "test/metadata.json", json.dumps({"eeeeeeeeee.mp4": {"is_fake": 0}}))
    told = r"test/eeeeeeeeee.mp4 is fake in test/labels.csv and real in test/metadata.json"
    with pytest.raises(ManifestError, match=told):
        read("dfdc", tmp_path)


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("validation/labels.csv", "file,label\n", r"labels.csv lacks the column\(s\) filename"),
        ("validation/labels.csv", "filename,label\na.mp4\n", "line 2: unknown label ''"),
        ("test/metadata.json", "{", "metadata.json is not valid JSON"),
        ("test/metadata.json", "[]", "holds no JSON object"),
        ("test/metadata.json", '{"a.mp4": 1}', "holds no JSON object of objects"),
        ("elsewhere/metadata.json", "{}", "folder gives no split"),
    ],
)
def test_dfdc_refuses_a_broken_list_by_name(
    path: str, text: str, told: str, tmp_path: Path
) -> None:
    corpora.dfdc(tmp_path)
    write(tmp_path, path, text)
    with pytest.raises(ManifestError, match=told):
        read("dfdc", tmp_path)
