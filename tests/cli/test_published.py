"""`dfray import` as a user runs it."""

from __future__ import annotations

from pathlib import Path

from dfray.models.published import DETECTORS
from tests.helpers.commands import Command
from tests.models.published.test_fsvfm import fine_tuned, saved


def test_the_list_has_every_detector_with_licence_and_source(
    tmp_path: Path, dfray: Command
) -> None:
    done = dfray(tmp_path, "import", "--list")
    assert done.code == 0
    rows = {line.split()[0]: line for line in done.out.splitlines()[1:]}
    assert rows.keys() == DETECTORS.keys()
    for detector in DETECTORS.values():
        assert detector.licence in rows[detector.name]
        assert detector.source in rows[detector.name]


def test_an_import_without_a_name_is_a_mistake(tmp_path: Path, dfray: Command) -> None:
    assert "--name is missing" in dfray(tmp_path, "import", "fsvfm-l").err
    done = dfray(tmp_path, "import", "--name", "mine")
    assert (done.code, "DETECTOR is missing" in done.err) == (2, True)


def test_an_import_says_what_it_made_and_how_to_score_with_it(
    tmp_path: Path, dfray: Command
) -> None:
    file = saved(tmp_path, fine_tuned(dim=384))
    command = ("import", "fsvfm-s", "--name", "third", "--weights", file)
    done = dfray(tmp_path, *command)
    assert done.code == 0, done.err
    assert "Imported third version 1." in done.out
    assert "CC BY-NC 4.0" in done.out
    assert "dfray score FILE --model models:/third/1" in done.out
    assert "imported before: third version 1" in dfray(tmp_path, *command).out


def test_a_file_of_another_network_is_a_mistake_by_name(tmp_path: Path, dfray: Command) -> None:
    file = saved(tmp_path, fine_tuned())
    done = dfray(tmp_path, "import", "fsvfm-s", "--name", "third", "--weights", file)
    assert done.code == 2
    assert "wrong shape in cls_token (expected (1, 1, 384), found (1, 1, 192))" in done.err
