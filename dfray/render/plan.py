"""What `dfray plan` prints: what was measured, what the run takes, and what holds it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from dfray.planning.extraction import Interval
    from dfray.planning.plan import ClusterPlan

console = Console(soft_wrap=True)
GIB = 2**30


def cluster_plan(plan: ClusterPlan) -> None:
    """The whole of it."""
    clips = f", on the videos of {plan.clips}" if plan.clips else ""
    console.rule(f"measured here, on one core{clips}", align="left")
    _measured(plan)
    console.rule("the run", align="left")
    _lines(_needs(plan))
    console.rule("what holds it up", align="left")
    _lines(_bottleneck(plan))
    console.rule("taken for granted", align="left")
    for note in (*plan.notes, *_assumptions(plan)):
        console.print(f"- {note}", markup=False, highlight=False)


def _measured(plan: ClusterPlan) -> None:
    columns = ("videos", "frames", "measured", "frames/s", "faces", "KiB", "CPU-h")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("dataset", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    for one in plan.extraction.datasets:
        table.add_row(
            one.name,
            f"{one.videos:,}",
            f"{one.frames:,}",
            f"{one.sampled:,}",
            f"{1 / one.cpu_per_frame_s:,.1f}",
            f"{one.faces_per_frame:.2f}",
            f"{one.bytes_per_face / 1024:,.0f}",
            f"{one.frames * one.cpu_per_frame_s / 3600:,.2f}",
        )
    console.print(table)
    console.print("[dim]frames/s: a CPU second; faces: a frame; KiB: a face as it is written")


def _needs(plan: ClusterPlan) -> list[tuple[str, str]]:
    found, workers = plan.extraction, plan.recipe.training.num_workers
    device = "GPU" if plan.on_gpus else "CPU worker"
    steps = plan.training.steps_per_epoch
    order = "side by side in the first epoch" if plan.streams else "one after the other"
    return [
        ("nodes", str(plan.nodes)),
        ("videos", ", ".join(f"{count:,} {split}" for split, count in found.videos.items())),
        (
            "extraction",
            f"{_work(found.cpu_s)}; with {plan.extract_workers:,} workers at once "
            f"{_duration(plan.extract_s)}",
        ),
        (
            "training",
            f"{plan.speed.images_per_s:,.1f} images/s a worker; {found.per_epoch['train']:,} faces "
            f"({steps:,} steps) an epoch, {plan.recipe.training.epochs} epochs on {workers} "
            f"{device}{'s' * (workers > 1)}: {_time(plan.train_s)}",
        ),
        ("in all", f"{_duration(plan.total_s)}: {order}"),
        *_money(plan),
        (
            "storage",
            f"{_range(found.faces, 'faces', '{:,.0f}')}; {_bytes(plan.stored_bytes)} with "
            "checkpoints and model",
        ),
        *_memory(plan),
    ]


def _money(plan: ClusterPlan) -> list[tuple[str, str]]:
    whole, finding, training = (
        nodes.price for nodes in (plan.nodes, plan.nodes.extracting, plan.nodes.training)
    )
    if whole is None or finding is None or training is None:
        return [("money", "not known: a price is missing in --nodes (such as 8x16cpu@0.68)")]
    told = f"{_range(plan.total_s * (whole / 3600), '', '{:,.2f}')} for all nodes to the end"
    if plan.nodes.extracting.groups != plan.nodes.training.groups and not plan.streams:
        apart = plan.extract_s.value * finding + plan.train_s * training
        told += f"; {apart / 3600:,.2f} if nodes are held only while they work"
    return [("money", told)]


def _memory(plan: ClusterPlan) -> list[tuple[str, str]]:
    training = plan.training
    lines = [
        (
            "memory",
            f"{plan.extract_memory_bytes / GIB:.2f} GiB an extraction worker; "
            f"{plan.train_memory_bytes / GIB:.2f} GiB a training worker "
            f"({training.state_bytes / GIB:.2f} weights, gradients and moments, the rest "
            "activations in float32; in bf16 about half)",
        )
    ]
    for group, need in plan.too_small():
        lines.append(
            (
                "TOO SMALL",
                f"{group}: a worker on each CPU takes {need / GIB:,.0f} GiB a node with Ray's object "
                "store; lower cluster.extract_workers",
            )
        )
    return lines


def _bottleneck(plan: ClusterPlan) -> list[tuple[str, str]]:
    extract, train = plan.extract_s.value, plan.train_s
    lines = []
    if plan.streams:
        first = max(extract, plan.epoch_s)
        lines.append(
            (
                "first epoch",
                f"{'extraction' if extract > plan.epoch_s else 'training'} holds it up: trainers are "
                f"busy {plan.epoch_s / first:.0%} of it, extraction {extract / first:.0%}",
            )
        )
    slowest = "extraction" if extract > train else "training"
    share = max(extract, train) / (extract + train)
    lines.append(("most hours", f"{slowest}: {share:.0%} of those of extraction and training"))
    if plan.read_per_s < plan.speed.images_per_s:
        lines.append(
            (
                "reading",
                f"a worker reads {plan.read_per_s:,.0f} faces/s and could train on "
                f"{plan.speed.images_per_s:,.0f}: reading holds the later epochs up",
            )
        )
    return [*lines, *_feeding(plan)]


def _feeding(plan: ClusterPlan) -> list[tuple[str, str]]:
    """How many CPU nodes keep how many GPUs busy while the first epoch streams."""
    if not plan.extraction.per_epoch["train"]:
        return [("feeding", "the manifest has no face to train on")]
    device = "GPU" if plan.on_gpus else "training worker"
    told = [_fed_by(plan, group.cpus, device) for group in plan.nodes.extracting.groups]
    return [
        (
            "feeding",
            f"while an epoch streams, {', or '.join(told)}: a CPU finds {plan.streamed_per_cpu_s:,.2f} "
            f"of its faces a second, a {device} takes {plan.speed.images_per_s:,.1f}",
        ),
        (
            "",
            f"here {plan.extract_workers:,} CPU{'s' * (plan.extract_workers > 1)} would feed "
            f"{plan.extract_workers / plan.cpus_per_worker_fed:,.2f} of "
            f"{plan.recipe.training.num_workers}; epochs over written shards need none",
        ),
    ]


def _fed_by(plan: ClusterPlan, cpus: int, device: str) -> str:
    nodes = plan.cpus_per_worker_fed / cpus
    if nodes < 1:
        return f"one node of {cpus} CPUs feeds {1 / nodes:,.1f} {device}s"
    return f"{nodes:,.1f} nodes of {cpus} CPUs feed one {device}"


def _assumptions(plan: ClusterPlan) -> list[str]:
    notes = [
        "Every CPU is as fast as this machine's, and network and object store keep up.",
        f"Images per second: {plan.speed.source}.",
        "Ray's start, evaluation and interruptions are not counted.",
    ]
    if plan.recipe.training.num_workers > 1:
        notes.append("Workers do not slow each other down.")
    apart = plan.nodes.extracting.groups != plan.nodes.training.groups
    if apart and not plan.recipe.cluster.extract_on:
        notes.append(
            "Faces are found on the nodes without GPUs; cluster.extract_on keeps them there."
        )
    idle = plan.nodes.gpus - plan.recipe.training.num_workers
    if plan.on_gpus and idle > 0:
        notes.append(f"{idle} GPU(s) stand idle: training.num_workers={plan.nodes.gpus} uses all.")
    if any(one.sampled < 5 for one in plan.extraction.datasets):
        notes.append("Fewer than five videos of a dataset were measured: its interval is a guess.")
    return notes


def _range(interval: Interval, unit: str, form: str = "{:,.1f}") -> str:
    low, high, value = (form.format(x) for x in (interval.low, interval.high, interval.value))
    return f"{value} [{low}, {high}] {unit}".rstrip()


def _work(cpu_s: Interval) -> str:
    if cpu_s.value < 3600:
        return _range(cpu_s * (1 / 60), "CPU-minutes")
    return _range(cpu_s * (1 / 3600), "CPU-hours")


def _duration(seconds: Interval) -> str:
    return f"{_time(seconds.value)} [{_time(seconds.low)}, {_time(seconds.high)}]"


def _time(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:,.1f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 96 * 3600 else f"{seconds / 86400:,.1f} days"


def _bytes(size: Interval) -> str:
    unit, factor = ("TiB", 2**40) if size.value > 2**40 else ("GiB", 2**30)
    return _range(size * (1 / factor), unit, "{:,.2f}")


def _lines(lines: list[tuple[str, str]]) -> None:
    for name, what in lines:
        console.print(f"{name:<13} {what}", markup=False, highlight=False)
