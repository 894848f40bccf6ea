"""Deepfake-Eval-2024: its two tables, and what nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.manifests import classes, read


def test_deepfake_eval_leaves_out_what_is_unknown(tmp_path: Path) -> None:
    corpora.deepfake_eval_2024(tmp_path)
    manifest = read("deepfake_eval_2024", tmp_path)
    assert classes(manifest) == {
        ("train", "real"): 1,
        ("train", "fake"): 1,
        ("test", "real"): 1,
        ("test", "fake"): 2,
    }
    assert [n for rule, n in manifest.left_out.items() if "Unknown" in rule.reason] == [1]


def test_deepfake_eval_refuses_its_two_tables_if_they_contradict_each_other(tmp_path: Path) -> None:
    corpora.deepfake_eval_2024(tmp_path)
    table = (tmp_path / "video-metadata-publish.csv").read_text()
    other = tmp_path / "video-metadata-publish-with-links.csv"
    other.write_text(table.replace("v2.mp4,Unknown", "v2.mp4,Real"))
    assert read("deepfake_eval_2024", tmp_path).videos.num_rows == 5
    other.write_text(table.replace("v1.mp4,Fake", "v1.mp4,Real"))
    with pytest.raises(
        ManifestError,
        match=r"v1.mp4 is real in .*links.csv line 3 and fake in .*publish.csv line 3",
    ):
        read("deepfake_eval_2024", tmp_path)
