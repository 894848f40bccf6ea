"""ForgeryNet: its methods, and its lists when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import write
from tests.helpers.manifests import read


def test_forgerynet_reads_methods_from_its_lists(tmp_path: Path) -> None:
    corpora.forgerynet(tmp_path)
    manifest = read("forgerynet", tmp_path)
    told = {(row["split"], row["method"], row["category"]) for row in manifest.videos.to_pylist()}
    assert told == {
        ("train", "real", "real"),
        ("train", "FaceShifter", "FS"),
        ("train", "ATVG-Net", "RE"),
        ("val", "real", "real"),
        ("val", "First Order Motion", "RE"),
        ("test", "real", "real"),
        ("test", "DeepFakes", "FS"),
    }
    assert [(rule.reason, n) for rule, n in manifest.left_out.items()] == [
        ("face editing or synthesis", 1)
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 a/b.mp4 0 9 1 0 1 1", r"real in .*line 1 \(binary label\) and fake in .*16-way"),
        ("2 a/b.mp4 0 9 1 1 1 1", r"line 1 has 8 words, not 5 \+ 3 n"),
        ("0 a/b.mp4 1 1 77", r"unknown 16-way label '77'"),
    ],
)
def test_forgerynet_refuses_a_line_that_contradicts_itself(
    line: str, told: str, tmp_path: Path
) -> None:
    corpora.forgerynet(tmp_path)
    write(tmp_path, "Training/video_list.txt", line)
    with pytest.raises(ManifestError, match=told):
        read("forgerynet", tmp_path)


def test_forgerynet_refuses_two_lists_that_contradict_each_other(tmp_path: Path) -> None:
    corpora.forgerynet(tmp_path)
    write(tmp_path, "Validation/video_list.txt", "0 train_video_release/16/aa/v0.mp4 1 1 1\n")
    told = r"v0.mp4 is real in Training/video_list.txt line 1 .* fake in Validation/video_list.txt"
    with pytest.raises(ManifestError, match=told):
        read("forgerynet", tmp_path)
