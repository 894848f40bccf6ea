"""Findings of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfray.errors import CheckError
from dfray.render.tables import console, new_table, print_files, styled

if TYPE_CHECKING:
    from dfray.audit.equal import EqualVideos
    from dfray.audit.people import SharedPeople
    from dfray.audit.result import Audit
    from dfray.evaluation.estimate import Estimate

_STATES = {
    "ok": styled("✓"),
    "unknown": styled("?"),
    "warn": styled("[bold yellow]![/]"),
    "refuse": styled("[bold red]✗[/]"),
}


def show_audit(audit: Audit, folder: str, *, as_json: bool = False) -> None:
    """Print the verdicts, shared people and the probe of metadata, or all of it as JSON.

    Args:
        folder: that holds audit.html, for the message.

    Raises:
        CheckError: a video is in training and in test.
    """
    from dfray.audit.result import listed

    if as_json:
        print(audit.to_json().decode())
    else:
        table = new_table("", "part", "found")
        for verdict in audit.verdicts:
            table.add_row(_STATES[verdict.state], verdict.part, verdict.sentence)
        console.print(table)
        show_people(audit.people)
        _show_probe(audit)
        for title, lines in listed(audit):
            print_files(title, lines)
        console.print(f"page: {folder}/audit.html", highlight=False)
    refused = [verdict for verdict in audit.verdicts if verdict.state == "refuse"]
    if refused:
        found = "; ".join(f"{verdict.part}: {verdict.sentence}" for verdict in refused)
        raise CheckError(
            f"Videos are in training and in test ({found}).",
            "Remove one of each, or give them one split.",
        )


def show_people(pairs: Sequence[SharedPeople]) -> None:
    """Print a row for each dataset of training and of the test."""
    table = new_table("trained on", "tested on", "shared people", "by")
    for pair in pairs:
        table.add_row(pair.trained, pair.tested, str(pair), pair.reason)
    if pairs:
        console.print(table)


def _show_probe(audit: Audit) -> None:
    numbers = ("real sources", "fake sources", "AUC of metadata")
    table = new_table("tested on", "trained on", *numbers, "", right=numbers)
    for result in audit.probe:
        remark = result.reason or ("a shortcut" if result.is_shortcut else "")
        remark = remark or ("tells datasets apart, too" if result.is_pooled else "")
        counts = (f"{result.n_real:,}", f"{result.n_fake:,}")
        table.add_row(result.dataset, result.how, *counts, _estimate(result.auc), remark)
    if audit.probe:
        console.print(table)


def _estimate(auc: Estimate | None) -> str:
    return "–" if auc is None else f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"


def show_equal_videos(groups: Sequence[EqualVideos]) -> None:
    """Print the groups of equal videos: those in training and in test, the others, and contradictions."""
    crossing = [str(group) for group in groups if group.crosses]
    within = [str(group) for group in groups if not group.crosses]
    contradicting = [str(group) for group in groups if group.contradicts]
    by = " and ".join(sorted({group.by for group in groups}))
    print_files(f"groups of equal {by}, in training and in test", crossing)
    print_files(f"groups of equal {by}, not in both", within)
    print_files(f"groups of equal {by}, labelled real and fake", contradicting)
