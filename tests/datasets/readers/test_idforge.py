"""IDForge: what is judged, who is in which split, and its lists when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import classes, read, rows


def test_idforge_judges_the_picture_alone_and_keeps_people_apart(tmp_path: Path) -> None:
    corpora.idforge(tmp_path)
    manifest = read("idforge", tmp_path)
    assert classes(manifest) == {
        (split, category): 1
        for split in ("train", "val", "test")
        for category in ("real", "FS", "TF")
    }
    assert {rule.reason: n for rule, n in manifest.left_out.items()} == {
        "real picture under a forged voice": 3
    }
    row = rows(manifest)["idforge/face_rvc_textmismatch/id00_03/id00_scene_0015_0_infoswap"]
    assert (row["identity"], row["split"]) == ("id00", "val")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pristine/id00/a.mp4", "line 1: 'pristine/id00/a.mp4' is no path"),
        ("hair/id00/id00_03/a.mp4", "line 1: 'hair/id00/id00_03/a.mp4' is no path"),
        ("pristine/id01/id01_03/id01_scene_0010-0.mp4", "is in train.csv .*and in val.csv"),
    ],
)
def test_idforge_refuses_a_line_that_is_none_or_in_two_lists(
    line: str, told: str, tmp_path: Path
) -> None:
    corpora.idforge(tmp_path)
    write(tmp_path, "val.csv", f"{line}\n")
    with pytest.raises(ManifestError, match=told):
        read("idforge", tmp_path)
