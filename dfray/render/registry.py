"""Promotion decisions and registered versions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from dfray.evaluation.names import mean_name
from dfray.render.tables import console, new_table, print_lines, styled
from dfray.text import visible

if TYPE_CHECKING:
    from dfray.registry.gate import GateResult
    from dfray.registry.history import PromotionRecord
    from dfray.registry.measurements import HeadlineMetrics
    from dfray.registry.views import VersionView

_OUTCOMES = {
    "holds": styled("holds"),
    "fails": styled("[bold red]fails"),
    "does not apply": styled("[dim]n/a"),
}


def show_decision(decision: PromotionRecord) -> None:
    """Print the table of gates, and the decision with its reasons."""
    if decision.gates:
        console.print(_gate_table(decision))
        if any(gate.low is not None for gate in decision.gates):
            console.print(
                styled("[dim]at least: lower bound of candidate - champion, paired by video")
            )
    for note in decision.notes:
        console.print(styled("[bold yellow]note[/]"), f": {note}.", sep="", highlight=False)
    number, before = decision.version.number, decision.champion_before
    if decision.promoted:
        verb = "is" if decision.sequence else "would become"
        was = f" (was version {before.number})" if before else ""
        console.print(f"{decision.model_name} version {number} {verb} the champion{was}.")
        return
    verb = "is not" if decision.sequence else "would not be"
    stays = f"version {before.number} stays the champion" if before else "there is no champion"
    console.print(f"{decision.model_name} version {number} {verb} promoted, {stays}:")
    for reason in decision.reasons:
        console.print(f"  - {reason}", highlight=False)


def _gate_table(decision: PromotionRecord) -> Table:
    numbers = ("required", "candidate", "champion", "at least")
    table = new_table("gate", *numbers, "", right=numbers)
    for gate in decision.gates:
        table.add_row(
            _gate_name(gate),
            f"{gate.rule} {gate.required:g}",
            _number(gate.candidate),
            _number(gate.champion),
            "" if gate.low is None else f"{gate.low:+.3f}",
            _OUTCOMES[gate.outcome],
        )
    return table


def show_history(decisions: list[PromotionRecord], *, as_json: bool = False) -> None:
    """Print every decision with its reasons."""
    if as_json:
        rows = [decision.to_dict() | {"void": decision.void} for decision in decisions]
        print(json.dumps(rows, indent=2))
        return
    for decision in decisions:
        console.print(_history_line(decision), highlight=False)
        for reason in _short_reasons(decision):
            console.print(f"   - {reason}", highlight=False)


def _history_line(decision: PromotionRecord) -> str:
    before = decision.champion_before.number if decision.champion_before else "none"
    outcome = "void" if decision.void else "champion" if decision.promoted else "refused"
    return (
        f"{decision.sequence}  {decision.when.removesuffix('+00:00')} UTC  {decision.who}: "
        f"{decision.action} version {decision.version.number} (champion before: {before}): {outcome}"
    )


def _short_reasons(decision: PromotionRecord) -> list[str]:
    """Return the reasons; for a promotion the number of gates instead of each gate that holds."""
    if decision.void:
        return ["another decision came first; nothing was moved"]
    if decision.promoted and decision.gates:
        count = len(decision.gates)
        holding = sum(gate.outcome == "holds" for gate in decision.gates)
        return [f"{holding} of {count} gates hold, {count - holding} do not apply"]
    return list(decision.reasons)


def show_versions(
    versions: list[VersionView], *, in_full: bool = False, as_json: bool = False
) -> None:
    """Print a table of versions, or each of them in full with its model card."""
    if as_json:
        print(json.dumps([version.to_dict() for version in versions], indent=2))
        return
    if in_full:
        for version in versions:
            _show_version(version)
        return
    numbers = ("AUC", "bal. acc.", "videos")
    table = new_table("version", "aliases", "created (UTC)", *numbers, "package", right=numbers)
    table.columns[2].no_wrap = True
    for version in versions:
        latest = version.metrics[0] if version.metrics else None
        table.add_row(
            version.number,
            ", ".join(version.aliases),
            version.created[:16].replace("T", " "),
            _number(latest.deciding_auc if latest else None),
            _number(latest.deciding_balanced_accuracy if latest else None),
            str(latest.n_videos) if latest else "–",
            Text(version.package, style="bold red" if version.damaged else ""),
        )
    console.print(table)


def _show_version(version: VersionView) -> None:
    print_lines(
        [
            ("version", version.number),
            ("aliases", ", ".join(version.aliases) or "none"),
            ("created", version.created),
            ("MLflow run", version.run_id or "none"),
            ("package", version.package),
            *(("metrics", _metrics_line(metrics)) for metrics in version.metrics),
        ]
    )
    console.rule("model card", align="left")
    console.print(
        Markdown(visible(version.card)), soft_wrap=False
    )  # else long lines would be cut off


def _metrics_line(metrics: HeadlineMetrics) -> str:
    mean = ""
    if metrics.n_columns > 1:
        mean = (
            f"{mean_name(metrics.n_columns)}: AUC {_number(metrics.mean_auc)}, balanced accuracy "
            f"{_number(metrics.mean_balanced_accuracy)}; pooled: "
        )
    return (
        f"{mean}AUC {_number(metrics.auc)}, balanced accuracy {_number(metrics.balanced_accuracy)}, "
        f"calibration error {_number(metrics.calibration_error)}, {metrics.n_videos} videos, "
        f"coverage {metrics.coverage:.1%} on {metrics.evaluation_set}"
    )


def _gate_name(gate: GateResult) -> str:
    from dfray.registry.gates import gate_label

    name = gate_label(gate.name)
    return f"{name}, {gate.scope}" if gate.scope else name


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
