"""KoDF: its splits, models and targets, and its lists when they are wrong."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.manifests import classes, read, rows


def test_kodf_reads_splits_models_and_targets_from_its_lists(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    manifest = read("kodf", tmp_path)
    assert classes(manifest) == {
        (split, category): {"real": 2, "FS": 3, "RE": 1, "TF": 1}[category]
        for split in ("train", "val")
        for category in ("real", "FS", "RE", "TF")
    }
    row = rows(manifest)["kodf/audio-driven/p1_p9_5_0001"]
    assert (row["identity"], row["source_video"]) == ("p1", "kodf/real/p1_000")
    assert row["source_video"] in rows(manifest)


def test_kodf_reads_lists_whose_names_a_mac_has_taken_apart(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    before = read("kodf", tmp_path)
    for path in [*(tmp_path / "meta").iterdir()]:
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    assert read("kodf", tmp_path).videos.equals(before.videos)


def test_kodf_with_a_person_in_two_splits_is_read_without_that_identity(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    table = tmp_path / "meta/원본영상_validation_메타데이터.csv"
    table.write_text(table.read_text().replace(",p2,", ",p1,"))
    manifest = read("kodf", tmp_path)
    assert {row["identity"] for row in rows(manifest).values()} == {None, "p2"}
    assert manifest.remarks.total() == 2 + 5 + 2


def test_kodf_without_people_in_a_list_says_how_many_rows_have_no_identity(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    table = tmp_path / "meta/원본영상_training_메타데이터.csv"
    table.write_text(table.read_text().replace("UUID", "other"))
    ((remark, count),) = read("kodf", tmp_path).remarks.items()
    assert (count, "has no identity" in remark.text) == (2, True)


@pytest.mark.parametrize("kind", ["원본영상", "변조영상"])
def test_kodf_without_a_list_of_either_class_is_refused(kind: str, tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    for path in (tmp_path / "meta").glob(f"{kind}*"):
        path.unlink()
    with pytest.raises(ManifestError, match=rf"holds no {kind}_training_메타데이터.csv or"):
        read("kodf", tmp_path)


def test_kodf_refuses_a_model_that_it_has_not(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    table = tmp_path / "meta/변조영상_training_메타데이터.csv"
    table.write_text(table.read_text().replace("fsgan", "gan"))
    with pytest.raises(ManifestError, match=r"training.* line 4: unknown model 'gan'.*dfl, dffs"):
        read("kodf", tmp_path)
