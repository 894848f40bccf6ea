"""Labels in a file are the truth about each video once; what contradicts itself is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.evaluation.given_truth import Truth, read_labels


def read(folder: Path, text: str):
    (folder / "labels.csv").write_text(text)
    return read_labels(str(folder / "labels.csv"), "test")


def test_uri_and_label_are_enough(tmp_path: Path) -> None:
    found = read(tmp_path, "uri,label\na.mp4,real\n/b.mp4,1\na.mp4,0\n")
    first, second = f"{tmp_path}/a.mp4", "/b.mp4"
    assert found.videos == (
        Truth(first, first, 0, "labels", "real", "real", ""),
        Truth(second, second, 1, "labels", "fake", "fake", ""),
    )
    assert found.n_repeated == 1


def test_columns_beside_them_are_kept_and_other_splits_are_left_out(tmp_path: Path) -> None:
    head = "uri,label,dataset,method,category,split\n"
    rows = "/a,fake,ff,swap,FS,test\n/b,real,ff,,,train\n/c,real,ff,,,\n/d,real,ff,,,train\n"
    found = read(tmp_path, head + rows)
    assert [(v.place, v.dataset, v.method, v.category) for v in found.videos] == [
        ("/a", "ff", "swap", "FS"),
        ("/c", "ff", "real", "real"),
    ]
    assert found.other_splits == Counter(train=2)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("uri,label\n/a,real\n/a,fake\n", r"two labels of /a: real and fake. Keep the row"),
        ("uri,label\n/a,maybe\n", r"row 1: unknown label 'maybe'. A label is real or fake"),
        ("uri,truth\n/a,real\n", r"has no column label"),
        ("uri,label\n,real\n", r"row 1: '' names no video"),
        ("uri,label,split\n/a,real,dev\n", r"row 1: there is no split 'dev'"),
        ("uri,label,split\n/a,real,val\n", r"no videos of the test split, but 1 of val"),
    ],
)
def test_labels_that_are_none_are_refused_by_row_and_value(
    text: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=fault):
        read(tmp_path, text)
