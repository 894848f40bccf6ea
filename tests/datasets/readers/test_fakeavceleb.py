"""FakeAVCeleb: what is judged, its split by person and its list when it is wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.readers import reader
from dfray.datasets.readers.rows import LeftOut
from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.manifests import read


def test_fakeavceleb_leaves_out_fake_audio_and_repeated_lines(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path)
    manifest = read("fakeavceleb", tmp_path)
    reasons = {rule.reason: count for rule, count in manifest.left_out.items()}
    assert reasons == {"real video under fake audio": 40, "listed again in meta_data.csv": 1}
    category = {row["method"]: row["category"] for row in manifest.videos.to_pylist()}
    assert category == {
        "real": "real",
        "faceswap": "FS",
        "fsgan": "FS",
        "faceswap-wav2lip": "FS",
        "fsgan-wav2lip": "FS",
        "wav2lip": "RE",
    }


def test_fakeavceleb_is_split_by_person_always_alike_and_evenly(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=80)
    table = read("fakeavceleb", tmp_path).videos.to_pylist()
    splits = {row["identity"]: row["split"] for row in table}
    assert Counter(splits.values()) == {"train": 56, "val": 12, "test": 12}
    for half in ("African", "Asian"):
        people = {row["identity"] for row in table if f"/{half}/" in row["uri"]}
        assert 5 <= sum(splits[person] == "test" for person in people) <= 7
    for path in (tmp_path / "FakeVideo-FakeAudio").rglob("*.mp4"):
        path.unlink()
    again = read("fakeavceleb", tmp_path).videos.to_pylist()
    assert {row["identity"]: row["split"] for row in again} == splits


def test_fakeavceleb_tells_the_group_of_who_is_seen(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=4)
    corpus = CorpusSection(reader="fakeavceleb", root=str(tmp_path))
    read_rows = reader("fakeavceleb").read(corpus, Files(str(tmp_path)))
    told = {row["identity_group"] for row in read_rows if not isinstance(row, LeftOut)}
    assert told == {"men/African", "women/African", "men/Asian", "women/Asian"}


def test_fakeavceleb_refuses_a_row_whose_type_is_not_its_folders(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=1)
    path = tmp_path / "meta_data.csv"
    path.write_text(path.read_text().replace("fsgan,A,FakeVideo-Real", "fsgan,A,RealVideo-Real"))
    with pytest.raises(ManifestError, match=r"fake in folder FakeVideo-RealAudio and real in meta"):
        read("fakeavceleb", tmp_path)
