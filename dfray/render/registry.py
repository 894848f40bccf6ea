"""Decisions and versions, as the commands of the registry print them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.markdown import Markdown

from dfray.render.tables import console, new_table

if TYPE_CHECKING:
    from dfray.registry.gate import GateResult
    from dfray.registry.history import PromotionRecord
    from dfray.registry.measurements import HeadlineMetrics
    from dfray.registry.views import VersionView

_OUTCOMES = {"holds": "holds", "fails": "[bold red]fails", "does not apply": "[dim]n/a"}


def decision(made: PromotionRecord) -> None:
    """The table of gates, and what came of it."""
    numbers = ("required", "candidate", "champion", "at least")
    shown = new_table("gate", *numbers, "", right=numbers)
    for gate in made.gates:
        shown.add_row(
            _name(gate),
            f"{gate.rule} {gate.required:g}",
            _figure(gate.candidate),
            _figure(gate.champion),
            "" if gate.low is None else f"{gate.low:+.3f}",
            _OUTCOMES[gate.outcome],
        )
    if made.gates:
        console.print(shown)
        if any(gate.low is not None for gate in made.gates):
            console.print("[dim]at least: lower bound of candidate - champion, paired by video")
    number, before = made.version.number, made.champion_before
    if made.promoted:
        verb = "is" if made.sequence else "would become"
        was = f" (was version {before.number})" if before else ""
        console.print(f"{made.model_name} version {number} {verb} the champion{was}.")
        return
    verb = "is not" if made.sequence else "would not be"
    stays = f"version {before.number} stays the champion" if before else "there is no champion"
    console.print(f"{made.model_name} version {number} {verb} promoted, {stays}:")
    for reason in made.reasons:
        console.print(f"  - {reason}", markup=False, highlight=False)


def decisions(made: list[PromotionRecord], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([one.to_dict() | {"void": one.void} for one in made], indent=2))
        return
    for one in made:
        before = one.champion_before.number if one.champion_before else "none"
        outcome = "champion" if one.promoted else "refused"
        console.print(
            f"{one.sequence}  {one.when.removesuffix('+00:00')} UTC  {one.who}: {one.action} version "
            f"{one.version.number} (champion before: {before}): {'void' if one.void else outcome}",
            markup=False,
            highlight=False,
        )
        for why in _why(one):
            console.print(f"   - {why}", markup=False, highlight=False)


def _why(one: PromotionRecord) -> list[str]:
    """In short: of a promotion not every gate that holds."""
    if one.void:
        return ["another decision came first; nothing was moved"]
    if one.promoted and one.gates:
        asked = sum(gate.outcome == "holds" for gate in one.gates)
        return [f"{asked} of {len(one.gates)} gates hold, {len(one.gates) - asked} do not apply"]
    return list(one.reasons)


def versions(found: list[VersionView], *, in_full: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps([one.to_dict() for one in found], indent=2))
        return
    if in_full:
        for one in found:
            _in_full(one)
        return
    right = ("AUC", "bal. acc.", "videos")
    shown = new_table("version", "aliases", "created (UTC)", *right, "package", right=right)
    shown.columns[2].no_wrap = True
    for one in found:
        latest = one.metrics[0] if one.metrics else None
        shown.add_row(
            one.number,
            ", ".join(one.aliases),
            one.created[:16].replace("T", " "),
            _figure(latest.auc if latest else None),
            _figure(latest.balanced_accuracy if latest else None),
            str(latest.n_videos) if latest else "–",
            f"[bold red]{one.package}" if one.damaged else one.package,
        )
    console.print(shown)


def _in_full(one: VersionView) -> None:
    for name, what in (
        ("version", one.number),
        ("aliases", ", ".join(one.aliases) or "none"),
        ("created", one.created),
        ("MLflow run", one.run_id or "none"),
        ("package", one.package),
    ):
        console.print(f"{name:<13} {what}", markup=False, highlight=False)
    for metrics in one.metrics:
        console.print(f"{'metrics':<13} {_line(metrics)}", markup=False, highlight=False)
    console.rule("model card", align="left")
    console.print(Markdown(one.card), soft_wrap=False)  # else long lines would be cut off


def _line(figures: HeadlineMetrics) -> str:
    parts = [
        f"AUC {_figure(figures.auc)}",
        f"balanced accuracy {_figure(figures.balanced_accuracy)}",
        f"calibration error {_figure(figures.calibration_error)}",
        f"{figures.n_videos} videos",
        f"coverage {figures.coverage:.1%}",
    ]
    return f"{', '.join(parts)} on {figures.evaluation_set}"


def _name(gate: GateResult) -> str:
    from dfray.registry.gates import gate_label

    name = gate_label(gate.name)
    return f"{name}, {gate.scope}" if gate.scope else name


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
