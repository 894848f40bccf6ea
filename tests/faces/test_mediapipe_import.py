"""MediaPipe's import, without what it imports to draw and to record."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from dfray.faces.mediapipe_import import deferred


@pytest.fixture
def drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a module `pens`, each of which says that it is imported."""
    package = tmp_path / "drawing_of_this_test"
    package.mkdir()
    (package / "__init__.py").write_text("print('package')\ncolour = 'red'\n")
    (package / "pens.py").write_text("print('pens')\nwidth = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package.name
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def imported(code: str) -> ModuleType:
    """A module of `code`, as one of MediaPipe's."""
    module = ModuleType("importer")
    exec(code, module.__dict__)
    return module


def test_a_deferred_module_is_imported_when_it_is_used(drawing, capsys):
    with deferred(drawing, f"{drawing}.pens"):
        importer = imported(f"import {drawing}.pens as pens")
    assert capsys.readouterr().out == ""
    assert importer.pens.width == 3
    assert capsys.readouterr().out == "package\npens\n"
    assert importlib.import_module(f"{drawing}.pens").width == 3


def test_one_that_is_used_at_once_is_imported_at_once(drawing, capsys):
    with deferred(drawing):
        importer = imported(f"import {drawing} as drawing; colour = drawing.colour")
        assert importer.colour == "red"
        assert imported(f"from {drawing}.pens import width").width == 3
    assert capsys.readouterr().out == "package\npens\n"


def test_one_that_was_imported_before_stays_itself(drawing):
    before = importlib.import_module(drawing)
    with deferred(drawing):
        assert importlib.import_module(drawing) is before
    assert sys.modules[drawing] is before
