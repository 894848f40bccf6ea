"""What `dfray manifest check` shows of a corpus: found against published, what is left out, missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dfray.config import CorpusSection
from dfray.datasets.manifest import build_manifest
from dfray.render.data import show_manifest
from tests.helpers import corpora


def test_found_stands_beside_published_with_its_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora.fakeavceleb(tmp_path, people=40)
    (tmp_path / "RealVideo-RealAudio/African/men/id00000/00109_real.mp4").unlink()
    corpus = CorpusSection(reader="fakeavceleb", root=str(tmp_path))
    show_manifest(build_manifest([corpus], opened=0))
    shown = capsys.readouterr().out
    assert re.search(r"dataset +videos +found +published +share +published in", shown)
    assert re.search(r"fakeavceleb +real +39 +498 +8% +arXiv 2508.19730, Table 1", shown)
    assert re.search(r"fakeavceleb +fake +240 +20,543 +1% ", shown)
    assert "279 videos; 1 missing; 0 cannot be opened (0 were tried)." in shown
    assert "40 of fakeavceleb are left out: real video under fake audio." in shown
    assert re.search(r"missing\n +\S+id00000/00109_real.mp4", shown)
