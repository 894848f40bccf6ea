"""The manifest of a run, of clips that the demo would draw: listed without being drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import ManifestError
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.run_manifest import check_manifest

SMALL = ["demo={train_identities: 2, val_identities: 2, test_identities: 2}"]


def methods_of(folder: Path, *overrides: str) -> set[str]:
    recipe = load_recipe("demo", [*SMALL, f"work_dir={folder}", *overrides])
    rows = check_manifest(RunContext.of(recipe)).videos.to_pylist()
    return {row["method"] for row in rows if row["label"]}


def test_some_methods_of_the_demo_can_be_read_alone(tmp_path: Path) -> None:
    assert methods_of(tmp_path) == {"demo-swap", "demo-reenact"}
    assert methods_of(tmp_path, "corpora.0.methods=[demo-swap]") == {"demo-swap"}


def test_a_method_that_the_demo_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"corpora.methods: demo has no .*'demo-swop'.*mean demo-swap"
    ):
        methods_of(tmp_path, "corpora.0.methods=[demo-swop]")
