"""What the commands print: tables and short lines; results on stdout, progress is on stderr."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from dfray.render.tables import console, list_files, new_table

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.config import Recipe
    from dfray.datasets.manifest import Manifest
    from dfray.evaluation.metrics import Estimate, Metrics
    from dfray.serving.score_files import FileScore
    from dfray.stages import RunResult, TrainingPlan
    from dfray.training.estimate import TrainingEstimate

_NUMBERS = ("videos", "frames", "faces")


def recipes(found: list[Recipe]) -> None:
    table = new_table("name", "what it is")
    for recipe in found:
        table.add_row(recipe.name, recipe.description)
    console.print(table)


def manifest(found: Manifest) -> None:
    table = new_table("dataset", "split", "class", "videos", right=("videos",))
    for dataset, split, category, count in found.counts():
        table.add_row(dataset, split, category, f"{count:,}")
    console.print(table)
    if found.published:
        _against_published(found)
    console.print(f"{found.videos.num_rows:,} videos; {len(found.missing):,} missing", end="; ")
    console.print(f"{len(found.unreadable):,} cannot be opened ({found.opened:,} were tried).")
    for rule, count in sorted(found.left_out.items(), key=lambda item: str(item[0])):
        console.print(f"{count:,} of {rule.dataset} are left out: {rule.reason}.")
    list_files("missing", found.missing)
    list_files("cannot be opened", [f"{key}: {why}" for key, why in found.unreadable.items()])


def _against_published(found: Manifest) -> None:
    numbers = ("found", "published", "share")
    table = new_table("dataset", "videos", *numbers, "published in", right=numbers)
    for row in found.comparisons():
        counts = f"{row.videos:,}", f"{row.published:,}", f"{row.share:.0%}"
        table.add_row(row.dataset, row.subset, *counts, row.source)
    console.print(table)


def coverage(summaries: pa.Table) -> None:
    """The count of every outcome and of every reason."""
    rows = summaries.select(["split", "status", "reason", "n_frames", "n_faces"]).to_pylist()
    table = new_table("split", "outcome", "reason", "videos", "frames", "faces", right=_NUMBERS)
    videos: Counter[tuple[str, str, str]] = Counter()
    frames: Counter[tuple[str, str, str]] = Counter()
    faces: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        key = (row["split"], row["status"], row["reason"] or "")
        videos[key] += 1
        frames[key] += row["n_frames"]
        faces[key] += row["n_faces"]
    for key in sorted(videos):
        table.add_row(*key, f"{videos[key]:,}", f"{frames[key]:,}", f"{faces[key]:,}")
    console.print(table)


def history(figures: list[dict[str, float]]) -> None:
    """A line for every epoch, the kept one marked."""
    best = min(figures, key=lambda epoch: epoch["selection_loss"])
    table = new_table(
        "epoch", "train loss", "validation loss", "cross-entropy", "triplet", "lr", ""
    )
    for epoch in figures:
        table.add_row(
            f"{epoch['epoch']:g}",
            f"{epoch['train_loss']:.4f}",
            f"{epoch['val_loss']:.4f}",
            f"{epoch['val_cross_entropy']:.4f}",
            f"{epoch['val_triplet']:.4f}",
            f"{epoch['lr']:.2e}",
            "kept" if epoch is best else "",
        )
    console.print(table)


def training_plan(plan: TrainingPlan) -> None:
    """What `dfray train --dry-run` tells: a line for each thing that a run needs."""
    recipe, estimate = plan.recipe, plan.estimate
    cost, schedule = estimate.cost, estimate.schedule
    gpus = "one for each worker, if the cluster has any" if plan.gpus is None else str(plan.gpus)
    lines = [
        (
            "model",
            f"{recipe.model.backbone} at {recipe.model.size_px} px, D = {cost.embedding_dim}",
        ),
        ("parameters", str(cost.counts)),
    ]
    lines.append(("classes", ", ".join(plan.class_names)))
    for split, (real, fake) in plan.sample.items():
        lines.append((f"{split} sample", f"{real + fake:,} faces ({real:,} real, {fake:,} fake)"))
    lines.append(("counts", plan.source))
    lines.append(("schedule", _schedule(recipe)))
    if schedule:
        steps = f"{estimate.steps_per_epoch:,} an epoch, {schedule.total_steps:,} in all"
        lines.append(("steps", f"{steps}, {schedule.warmup_steps:,} of them warm-up"))
    kept, state = estimate.kept_bytes / 2**30, estimate.state_bytes / 2**30
    lines += [
        (
            "memory",
            f"{kept + state:.2f} GiB a worker: {state:.2f} weights, gradients and moments, "
            f"{kept:.2f} activations in float32 (in bf16 about half)",
        ),
        (
            "CPUs",
            f"{sum(plan.cpus.values())} at once: "
            + ", ".join(f"{count} {name}" for name, count in plan.cpus.items()),
        ),
        ("GPUs", gpus),
        ("time", _time(estimate)),
    ]
    for name, what in lines:
        console.print(f"{name:<13} {what}", markup=False, highlight=False)


def _schedule(recipe: Recipe) -> str:
    section = recipe.training
    return (
        f"{section.epochs} epochs in batches of {recipe.batches.batch_size} faces; lr up to "
        f"{section.lr:g} over {section.warmup_epochs:g} epochs, then down to {section.min_lr:g} "
        "along a cosine"
    )


def _time(estimate: TrainingEstimate) -> str:
    if estimate.seconds is None:
        return "not known without the sample"
    gflops = estimate.flops_per_s / 1e9
    return (
        f"about {timedelta(seconds=round(estimate.seconds))} for the steps, on machines like this "
        f"one ({gflops:,.0f} GFLOP/s a worker, two fifths of a matrix product)"
    )


def evaluation(metrics: Metrics) -> None:
    """Video-level figures; the AUC with its interval, the report has the others'."""
    interval = f"AUC [{metrics.confidence:.0%}]"
    columns = ("scored", interval, "bal. acc.", "EER", "AP")
    table = new_table("", *columns, right=columns)
    groups = [("all videos", metrics.overall)]
    groups += [(f"{group.dataset}", group) for group in metrics.datasets]
    groups += [(f"{group.dataset} / {group.method}", group) for group in metrics.methods]
    for name, group in groups:
        level = group.video
        others = (level.balanced_accuracy, level.eer, level.average_precision)
        shown = ["–" if estimate is None else f"{estimate.value:.3f}" for estimate in others]
        table.add_row(
            name, f"{group.counts.scored}/{group.counts.videos}", _interval(level.auc), *shown
        )
    console.print(table)


def scores(found: list[FileScore], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    columns = ("file", "fake", "verdict", "faces", "frames", "faces/s", "work", "note")
    table = new_table(*columns, right=("fake", *columns[3:7]))
    for one in found:
        table.add_row(
            one.file.rpartition("/")[2],
            "–" if one.fake_probability is None else f"{one.fake_probability:.3f}",
            one.label or "no score",
            str(one.n_faces),
            str(one.n_frames),
            "–" if one.faces_per_s is None else f"{one.faces_per_s:.1f}",
            "–" if one.work_per_video_s is None else f"{one.work_per_video_s:.2f} x",
            one.reason or "",
        )
    console.print(table)
    console.print("[dim]work: seconds of it per second of video; below 1 x is real time")


def run_result(result: RunResult) -> None:
    """The short table that a whole run ends with, and where to look."""
    from dfray.render.registry import decision

    summaries = result.run.faces.summaries()
    console.rule("held-out videos", align="left")
    evaluation(result.metrics)
    console.rule("promotion", align="left")
    decision(result.decision)
    if result.scored:
        console.rule("one unseen clip, scored by the champion", align="left")
        scores(result.scored, as_json=False)
    console.rule("where to look", align="left")
    faces = sum(summaries["n_faces"].to_pylist())
    for name, what in (
        ("data", f"{summaries.num_rows:,} videos, {faces:,} faces"),
        ("report", result.run.folder.report),
        ("runs, models", _mlflow_pages(result.run.tracking_uri)),
        ("score files", f"dfray score FILE... --tracking-uri {result.run.tracking_uri}"),
    ):  # not a table, which would fold what is there to be copied
        console.print(f"{name:<13} {what}", markup=False, highlight=False)


def _mlflow_pages(tracking_uri: str) -> str:
    """A server's pages are there; a database needs one."""
    served = tracking_uri.startswith("http")
    return tracking_uri if served else f"mlflow ui --backend-store-uri {tracking_uri}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
