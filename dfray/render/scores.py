"""Scores of files, printed as they come: a line for each, on a terminal, in a pipe and in a file."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dfray.notes import note
from dfray.render.tables import console, styled
from dfray.text import visible_line

if TYPE_CHECKING:
    from dfray.serving.score_table import FileScore

_LINE = "{:>5}  {:<8}  {:>5}  {:>7}  {:>6}  {:>7}  {:>8}  {}"
_HEADINGS = ("fake", "verdict", "faces", "persons", "frames", "faces/s", "work", "file")


def show_scores(scores: Iterable[FileScore], *, as_json: bool = False) -> Counter[str]:
    """Print the fake probability of each file, with the work that it took; return the outcomes' counts.

    Names stand last and are not folded: a line is a file. As JSON a line is a row of FILE_SCORES.
    """
    outcomes = _show_json(scores) if as_json else _show_table(scores)
    sys.stdout.flush()
    return outcomes


def _show_json(scores: Iterable[FileScore]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for score in scores:
        print(json.dumps(score.row(), allow_nan=False), flush=True)
        outcomes[score.outcome] += 1
    return outcomes


def _show_table(scores: Iterable[FileScore]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    notes: dict[str, None] = {}
    for score in scores:
        if not outcomes:
            _print(styled(f"[bold]{_LINE.format(*_HEADINGS)}[/]"))
        _print(_line(score))
        outcomes[score.outcome] += 1
        if score.faces_note:
            notes[score.faces_note] = None
    for text in notes:
        console.print(styled("[bold yellow]warning[/]"), f": the model {text}.", sep="")
    if outcomes:
        console.print(
            styled("[dim]work: seconds of it per second of video; below 1 x is real time[/]")
        )
    return outcomes


def _print(line: object) -> None:
    console.print(line, highlight=False, no_wrap=True, crop=False, overflow="ignore")
    console.file.flush()


def _line(score: FileScore) -> str:
    reason = f"  ({visible_line(score.reason)})" if score.reason else ""
    return _LINE.format(
        "–" if score.fake_probability is None else f"{score.fake_probability:.3f}",
        score.verdict or "no score",
        score.n_faces,
        score.n_persons,
        score.n_frames,
        "–" if score.faces_per_s is None else f"{score.faces_per_s:.1f}",
        "–" if score.work_per_video_s is None else f"{score.work_per_video_s:.2f} x",
        visible_line(score.input) + reason,
    )


def show_kept(out: str, n_new: int, earlier: Counter[str]) -> None:
    """Print to stderr where the scores are kept, and what of the request was there."""
    unread = sum(n for outcome, n in earlier.items() if outcome not in ("ok", "no_face"))
    there = f"; {earlier.total():,} were there" if earlier else ""
    lost = (
        f", of which {unread:,} could not be read: remove their rows to try again" if unread else ""
    )
    note(f"{n_new:,} input(s) scored and added to {out}{there}{lost}.")
