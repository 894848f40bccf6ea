"""`dfray manifest`: what it counts and lists, and that a check writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.helpers.commands import Command
from tests.helpers.corpus import write_corpus


def test_manifest_check_counts_and_lists_and_writes_nothing(dfray: Command, folder: Path) -> None:
    write_corpus(folder / "corpus", 6, seconds=1, splits=("train", "val", "test"))
    (folder / "corpus" / "train" / "real" / "empty.mp4").touch()
    (folder / "corpus" / "val" / "FS" / "text.mp4").write_text("no video")
    rows = [f"corpus/{s}/real/{n}.mp4,real" for s, n in (("train", "000"), ("test", "gone"))]
    (folder / "list.csv").write_text(f"uri,label,split\n{rows[0]},test\n{rows[1]},test\n")
    before = sorted(folder.rglob("*"))
    done = dfray(folder, "manifest", "check", "small.yaml", "batches.batch_size=2")
    assert done.code == 0, done.err
    assert re.search(r"toy +train +real +2\ntoy +train +FS +1\ntoy +val +real +1", done.out)
    assert "8 videos; 0 missing; 2 cannot be opened (8 were tried)." in done.out
    assert "toy/real/empty: empty file" in done.out
    assert "toy/FS/text: Invalid data found when processing input" in done.out
    listed = dfray(
        folder,
        "manifest",
        "check",
        "small.yaml",
        "corpora=[{reader: csv, root: list.csv, dataset: two}]",
    )
    assert "1 videos; 1 missing; 0 cannot be opened (1 were tried)." in listed.out
    assert re.search(r"missing\n +\S*corpus/test/real/gone.mp4", listed.out)
    quick = dfray(folder, "manifest", "check", "small.yaml", "--list-only")
    assert "8 videos; 0 missing; 0 cannot be opened (0 were tried)." in quick.out
    assert sorted(folder.rglob("*")) == before


def test_a_check_of_the_demo_draws_no_clip(dfray: Command, tmp_path: Path) -> None:
    done = dfray(tmp_path, "manifest", "check", "demo")
    assert (done.code, done.err) == (0, "")
    assert "164 videos; 0 missing; 0 cannot be opened (0 were tried)." in done.out
    assert list(tmp_path.iterdir()) == []


def test_a_table_in_a_pipe_is_not_folded(dfray: Command, folder: Path) -> None:
    root = folder / ("a" * 100) / ("b" * 100)
    write_corpus(root, 2, seconds=1)
    words = ["corpora=[{reader: folder, root: '" + str(root) + "', dataset: " + "d" * 200 + "}]"]
    rows = dfray(folder, "manifest", "build", "small.yaml", *words).out.splitlines()
    assert sum("d" * 200 in row for row in rows) == 2  # real and FS


def test_a_quiet_command_prints_its_result_alone(dfray: Command, folder: Path) -> None:
    write_corpus(folder / "corpus", 2, seconds=1, splits=("train",))
    loud = dfray(folder, "manifest", "build", "small.yaml")
    quiet = dfray(folder, "manifest", "build", "small.yaml", "--quiet")
    assert loud.err.startswith("✓ manifest")
    assert (quiet.code, quiet.err, quiet.out) == (0, "", loud.out)
