"""Result of a whole pipeline run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfray.render.evaluation import show_metrics
from dfray.render.registry import show_decision
from dfray.render.scores import show_scores
from dfray.render.tables import console, new_table, print_lines

if TYPE_CHECKING:
    from dfray.run_status import StageStatus
    from dfray.stages import RunResult


def show_run(result: RunResult) -> None:
    """Print metrics, promotion and one score, and where the report, runs and models are."""
    if result.metrics is None:
        folder = result.run.folder
        outcome = "was promoted" if result.promoted else "was refused"
        version = f"Version {folder.state().version} {outcome}"
        done = f"Nothing has changed and nothing was done. {version}; its report: {folder.report}"
        console.print(done, highlight=False)
        return
    summaries = result.run.faces.summaries()
    console.rule("held-out videos", align="left")
    show_metrics(result.metrics)
    if result.decision is not None:
        console.rule("promotion", align="left")
        show_decision(result.decision)
    if result.scored:
        console.rule("one unseen clip, scored by the champion", align="left")
        show_scores(result.scored)
    console.rule("results", align="left")
    tracking_uri = result.run.tracking_uri
    faces = sum(summaries["n_faces"].to_pylist())
    lines = [
        ("data", f"{summaries.num_rows:,} videos, {faces:,} faces"),
        ("report", result.run.folder.report),
        *([("score page", result.run.folder.score_page)] if result.scored else []),
        ("runs, models", _mlflow_ui(tracking_uri)),
    ]
    if result.has_champion:  # else nothing can score
        command = f"dfray score FILE... --tracking-uri {shlex.quote(tracking_uri)}"
        lines.append(("score files", command))
    print_lines(lines)


def show_status(statuses: Sequence[StageStatus]) -> None:
    """Print the state of each stage, and the reason of each that is due."""
    table = new_table("stage", "state", "")
    for status in statuses:
        table.add_row(status.stage, status.state, status.detail)
    console.print(table)


def _mlflow_ui(tracking_uri: str) -> str:
    """Return a server's own address, or the command that serves a database."""
    is_server = tracking_uri.startswith("http")
    command = f"mlflow ui --backend-store-uri {shlex.quote(tracking_uri)}"
    return tracking_uri if is_server else command
