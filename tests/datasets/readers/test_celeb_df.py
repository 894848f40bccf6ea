"""Celeb-DF v2: its list of test videos, and that list when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import classes, read, rows


def test_celeb_df_tests_on_its_list_and_has_no_validation(tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    manifest = read("celeb_df", tmp_path)
    assert classes(manifest) == {
        ("train", "real"): 4,
        ("train", "FS"): 1,
        ("test", "real"): 2,
        ("test", "FS"): 1,
    }
    fake = rows(manifest)["celeb-df-v2/Celeb-synthesis/id0_id1_0000"]
    assert fake["source_video"] == "celeb-df-v2/Celeb-real/id0_0000"


def test_celeb_df_refuses_a_list_that_contradicts_its_folders(tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    write(tmp_path, "List_of_testing_videos.txt", "0 Celeb-real/id2_0000.mp4\n")
    told = (
        r"id2_0000.mp4 is real in folder Celeb-real and fake in List_of_testing_videos.txt line 1"
    )
    with pytest.raises(ManifestError, match=told):
        read("celeb_df", tmp_path)


@pytest.mark.parametrize("line", ["2 Celeb-real/a.mp4", "1 Elsewhere/a.mp4", "Celeb-real/a.mp4"])
def test_celeb_df_refuses_a_line_that_is_none(line: str, tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    write(tmp_path, "List_of_testing_videos.txt", f"1 Celeb-real/id0_0000.mp4\n{line}\n")
    with pytest.raises(ManifestError, match="line 2"):
        read("celeb_df", tmp_path)
