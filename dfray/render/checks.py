"""Findings of checks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table, styled

if TYPE_CHECKING:
    from dfray.checks import Finding

_STATES = {
    "ok": styled("✓"),
    "warn": styled("[bold yellow]![/]"),
    "refuse": styled("[bold red]✗[/]"),
}


def show_findings(findings: list[Finding], *, as_json: bool = False) -> None:
    """Print a row for each finding, or a list of objects with check, message, hint and severity."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    table = new_table("", "check", "finding")
    for finding in findings:
        table.add_row(_STATES[finding.severity], finding.check, str(finding))
    console.print(table)
