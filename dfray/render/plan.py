"""Estimate of `dfray plan`: measurements, cost of the run, bottleneck and assumptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dfray.render.intervals import as_bytes, as_duration, as_range, as_time, as_work
from dfray.render.tables import console, new_table, print_lines, styled

if TYPE_CHECKING:
    from dfray.planning.plan import ClusterPlan

Lines = Iterator[tuple[str, str]]
GIB = 2**30
_FEW_VIDEOS = 5


def show_cluster_plan(plan: ClusterPlan) -> None:
    """Print all sections of the estimate."""
    clips = f", on the videos of {plan.clips}" if plan.clips else ""
    console.rule(f"measured here, on one core{clips}", align="left")
    _show_measured(plan)
    console.rule("the run", align="left")
    print_lines(_cost(plan))
    console.rule("bottleneck", align="left")
    print_lines(_bottleneck(plan))
    console.rule("assumptions", align="left")
    for note in (*plan.notes, *_assumptions(plan)):
        console.print(f"- {note}", highlight=False)


def _show_measured(plan: ClusterPlan) -> None:
    numbers = ("videos", "frames", "measured", "frames/s", "faces", "KiB", "CPU-h")
    table = new_table("dataset", *numbers, right=numbers)
    for dataset in plan.extraction.datasets:
        table.add_row(
            dataset.name,
            f"{dataset.videos:,}",
            f"{dataset.frames:,}",
            f"{dataset.sampled:,}",
            f"{1 / dataset.cpu_per_frame_s:,.1f}",
            f"{dataset.faces_per_frame:.2f}",
            f"{dataset.bytes_per_face / 1024:,.0f}",
            f"{dataset.frames * dataset.cpu_per_frame_s / 3600:,.2f}",
        )
    console.print(table)
    console.print(styled("[dim]frames/s: per CPU second; faces: per frame; KiB: per stored face"))


def _cost(plan: ClusterPlan) -> Lines:
    from dfray.planning.nodes import MEMORY_GB
    from dfray.training.memory import advice

    extraction = plan.extraction
    yield "nodes", str(plan.nodes)
    yield "videos", ", ".join(f"{count:,} {split}" for split, count in extraction.videos.items())
    yield (
        "extraction",
        f"{as_work(extraction.cpu_s)}; with {plan.extract_workers:,} workers at once "
        f"{as_duration(plan.extract_s)}",
    )
    yield "training", _training(plan)
    order = "side by side in the first epoch" if plan.streams else "one after the other"
    yield "in all", f"{as_duration(plan.total_s)}: {order}"
    yield "cost", _price(plan)
    yield (
        "storage",
        f"{as_range(extraction.faces, 'faces', '{:,.0f}')}; {as_bytes(plan.stored_bytes)} with "
        "checkpoints and model",
    )
    yield "memory", _memory(plan)
    for gpu in sorted({group.gpu for group in plan.nodes.training.groups if group.gpu}):
        bf16 = plan.recipe.training.precision != "float32"
        yield gpu.upper(), advice(plan.training.needs, MEMORY_GB[gpu] * 10**9 / GIB, bf16=bf16)
    for group, need in plan.too_small():
        yield (
            "TOO SMALL",
            f"{group}: a worker on each CPU takes {need / GIB:,.0f} GiB a node with Ray's object "
            "store; lower cluster.extract_workers",
        )


def _training(plan: ClusterPlan) -> str:
    section, device = plan.recipe.training, "GPU" if plan.on_gpus else "CPU worker"
    return (
        f"{plan.speed.images_per_s:,.1f} images/s a worker; "
        f"{plan.extraction.per_epoch['train']:,} faces ({plan.training.steps_per_epoch:,} steps) an "
        f"epoch, {section.epochs} epochs on {section.num_workers} "
        f"{device}{'s' * (section.num_workers > 1)}: {as_time(plan.train_s)}"
    )


def _price(plan: ClusterPlan) -> str:
    every, extracting, training = (
        nodes.price for nodes in (plan.nodes, plan.nodes.extracting, plan.nodes.training)
    )
    if every is None or extracting is None or training is None:
        return "not known: a price is missing in --nodes (such as 8x16cpu@0.68)"
    text = f"{as_range(plan.total_s * (every / 3600), '', '{:,.2f}')} for all nodes to the end"
    if plan.nodes.has_separate_training and not plan.streams:
        separate = plan.extract_s.value * extracting + plan.train_s * training
        text += f"; {separate / 3600:,.2f} if nodes are allocated only while they work"
    return text


def _memory(plan: ClusterPlan) -> str:
    return (
        f"{plan.extract_memory_bytes / GIB:.2f} GiB an extraction worker; "
        f"{plan.train_memory_bytes / GIB:.2f} GiB a training worker "
        f"({plan.training.state_bytes / GIB:.2f} weights, gradients and moments, the rest "
        "activations in float32; in bf16 about half)"
    )


def _bottleneck(plan: ClusterPlan) -> Lines:
    extract, train = plan.extract_s.value, plan.train_s
    if plan.streams:
        first = max(extract, plan.epoch_s)
        slower = "extraction" if extract > plan.epoch_s else "training"
        yield (
            "first epoch",
            f"limited by {slower}: trainers are busy {plan.epoch_s / first:.0%} of it, extraction "
            f"{extract / first:.0%}",
        )
    slower = "extraction" if extract > train else "training"
    share = max(extract, train) / (extract + train)
    yield "most hours", f"{slower}: {share:.0%} of those of extraction and training"
    if plan.read_per_s < plan.speed.images_per_s:
        yield (
            "reading",
            f"a worker reads {plan.read_per_s:,.0f} faces/s and could train on "
            f"{plan.speed.images_per_s:,.0f}: the later epochs are limited by reading",
        )
    yield from _feeding(plan)


def _feeding(plan: ClusterPlan) -> Lines:
    """Yield how many CPU nodes keep how many GPUs busy while the first epoch streams."""
    if not plan.extraction.per_epoch["train"]:
        yield "feeding", "the manifest has no face to train on"
        return
    device = "GPU" if plan.on_gpus else "training worker"
    ratios = [_fed_by(plan, group.cpus, device) for group in plan.nodes.extracting.groups]
    yield (
        "feeding",
        f"while an epoch streams, {', or '.join(ratios)}: a CPU extracts "
        f"{plan.streamed_per_cpu_s:,.2f} of its faces a second, a {device} takes "
        f"{plan.speed.images_per_s:,.1f}",
    )
    yield (
        "",
        f"here {plan.extract_workers:,} CPU{'s' * (plan.extract_workers > 1)} would feed "
        f"{plan.extract_workers / plan.cpus_per_worker_fed:,.2f} of "
        f"{plan.recipe.training.num_workers}; epochs over written shards need none",
    )


def _fed_by(plan: ClusterPlan, cpus: int, device: str) -> str:
    nodes = plan.cpus_per_worker_fed / cpus
    if nodes < 1:
        return f"one node of {cpus} CPUs feeds {1 / nodes:,.1f} {device}s"
    return f"{nodes:,.1f} nodes of {cpus} CPUs feed one {device}"


def _assumptions(plan: ClusterPlan) -> Iterator[str]:
    yield "Every CPU is as fast as this machine's, and network and object store are no bottleneck."
    yield f"Images per second: {plan.speed.source}."
    yield "Ray's start, evaluation and interruptions are not counted."
    if plan.recipe.training.num_workers > 1:
        yield "Workers do not slow each other down."
    if plan.nodes.has_separate_training and not plan.recipe.cluster.extract_on:
        yield "Faces are extracted on the nodes without GPUs; set cluster.extract_on to ensure it."
    idle = plan.nodes.gpus - plan.recipe.training.num_workers
    if plan.on_gpus and idle > 0:
        yield f"{idle} GPU(s) are idle: training.num_workers={plan.nodes.gpus} uses all."
    if any(dataset.sampled < _FEW_VIDEOS for dataset in plan.extraction.datasets):
        yield "Fewer than five videos of a dataset were measured: its interval is a guess."
