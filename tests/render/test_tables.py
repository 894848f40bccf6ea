"""Names are printed as they are: no markup, no emoji, no escape sequences, however they are printed."""

from __future__ import annotations

import io

import pytest

from dfray.notes import listening, note, quietly, warn
from dfray.render.tables import PlainConsole, console, new_table, print_files, print_lines, styled

NAME = "[red][z].mp4 [/] :bug: \x1b[2J"
SHOWN = r"[red][z].mp4 [/] :bug: \x1b[2J"


def test_a_name_is_shown_as_it_is_in_every_kind_of_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = new_table(NAME, "b")
    table.add_row(NAME, styled("[bold]b[/]"))
    console.print(table)
    console.print(f"line {NAME}")
    console.rule(NAME, align="left")
    print_lines([("label", NAME)])
    print_files("missing", [NAME])
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 6
    assert "\x1b" not in out
    assert "[bold]" not in out


def test_notes_and_warnings_too(capsys: pytest.CaptureFixture[str]) -> None:
    with quietly(False):
        note(NAME)
    warn(f"s3://me:word@host/{NAME}")
    err = capsys.readouterr().err
    assert err == f"{SHOWN}\ns3://***@host/{SHOWN}\n"


def test_on_a_terminal_the_only_escape_sequences_are_ours() -> None:
    screen = io.StringIO()
    terminal = PlainConsole(
        file=screen, force_terminal=True, markup=False, emoji=False, record=True
    )
    with listening(lambda _: None):
        terminal.print(styled("[bold]ours[/]"), NAME)
    assert "\x1b[1mours\x1b[0m" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
