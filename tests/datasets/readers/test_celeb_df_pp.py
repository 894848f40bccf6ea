"""Celeb-DF++: its scenarios, its list and the folders that it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.datasets.readers import reader
from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.manifests import classes, read, rows


def test_celeb_df_pp_has_three_scenarios_and_tests_on_its_list(tmp_path: Path) -> None:
    corpora.celeb_df_pp(tmp_path)
    manifest = read("celeb_df_pp", tmp_path)
    assert classes(manifest) == {
        ("train", "real"): 2,
        ("train", "FS"): 1,
        ("train", "TF"): 1,
        ("test", "real"): 1,
        ("test", "FS"): 1,
        ("test", "RE"): 1,
        ("test", "TF"): 1,
    }
    found = rows(manifest)
    for fake in ("BlendFace/id0_id1_0000", "FLOAT/id0_0000_test_0001"):
        row = found[f"celeb-df++/{fake}"]
        assert row["source_video"] == "celeb-df++/Celeb-real/id0_0000"
        assert row["method"] == fake.partition("/")[0]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("id0_id1_0000.mp4", r"holds Celeb-DF v2 .*Use reader: celeb_df\."),
        ("FaceSwap/id0_id1_0000.mp4", "in no folder Celeb-synthesis/SCENARIO/METHOD"),
        ("Editing/X/id0_id1_0000.mp4", "in no folder Celeb-synthesis/SCENARIO/METHOD"),
    ],
)
def test_celeb_df_pp_refuses_what_is_not_its_layout(path: str, told: str, tmp_path: Path) -> None:
    corpora.celeb_df_pp(tmp_path)
    corpora.touch(tmp_path, (f"Celeb-synthesis/{path}",))
    with pytest.raises(ManifestError, match=told):
        read("celeb_df_pp", tmp_path)


def test_celeb_df_pp_publishes_178_reals_and_the_fakes_of_22_methods_to_test_on() -> None:
    published = reader("celeb_df_pp").published
    assert published
    assert published.test == 178 + 8 * 200 + 7 * 200 + 7 * 300
    assert published.train + published.test == published.real + published.fake
