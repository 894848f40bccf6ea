"""Scores of files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table, styled

if TYPE_CHECKING:
    from dfray.serving.score_files import FileScore


def show_scores(scores: list[FileScore], *, as_json: bool = False) -> None:
    """Print the fake probability of each file, with the work that scoring took."""
    if as_json:
        print(json.dumps([asdict(score) for score in scores], indent=2))
        return
    columns = ("file", "fake", "verdict", "faces", "frames", "faces/s", "work", "note")
    table = new_table(*columns, right=("fake", *columns[3:7]))
    for score in scores:
        table.add_row(
            score.file.rpartition("/")[2],
            "–" if score.fake_probability is None else f"{score.fake_probability:.3f}",
            score.label or "no score",
            str(score.n_faces),
            str(score.n_frames),
            "–" if score.faces_per_s is None else f"{score.faces_per_s:.1f}",
            "–" if score.work_per_video_s is None else f"{score.work_per_video_s:.2f} x",
            score.reason or "",
        )
    console.print(table)
    for note in dict.fromkeys(score.faces_note for score in scores if score.faces_note):
        console.print(styled("[bold yellow]warning[/]"), f": the model {note}.", sep="")
    console.print(styled("[dim]work: seconds of it per second of video; below 1 x is real time"))
