"""WildDeepfake: its sequences of faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.manifests import classes, read, rows


def test_wilddeepfake_takes_every_tenth_face_of_its_sequences(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path)
    manifest = read("wilddeepfake", tmp_path)
    assert classes(manifest) == {
        (split, category): 2 if split == "train" else 1
        for split in ("train", "test")
        for category in ("real", "fake")
    }
    row = rows(manifest)["wilddeepfake/fake/train/1/7"]
    assert (row["kind"], row["stride"], row["n_images"]) == ("faces", 10, 3)  # 0, 10 and 20 of 21


def test_wilddeepfake_refuses_a_real_sequence_among_the_fakes(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path)
    corpora.touch(tmp_path, ("deepfake_in_the_wild/fake_test/3/real/8/0.png",))
    with pytest.raises(ManifestError, match=r"is fake in folder fake_test and real in folder real"):
        read("wilddeepfake", tmp_path)
