"""History of a training, and the estimate of `dfray train --dry-run`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table, print_lines

if TYPE_CHECKING:
    from dfray.config import Recipe
    from dfray.stages import TrainingPlan
    from dfray.training.estimate import TrainingEstimate


def show_history(history: list[dict[str, float]]) -> None:
    """Print the metrics of every epoch, and mark the epoch whose weights are kept."""
    best = min(history, key=lambda epoch: epoch["selection_loss"])
    table = new_table(
        "epoch", "train loss", "validation loss", "cross-entropy", "triplet", "AUC", "lr", ""
    )
    for epoch in history:
        table.add_row(
            f"{epoch['epoch']:g}",
            f"{epoch['train_loss']:.4f}",
            f"{epoch['val_loss']:.4f}",
            f"{epoch['val_cross_entropy']:.4f}",
            f"{epoch['val_triplet']:.4f}",
            f"{epoch['val_auc']:.4f}" if "val_auc" in epoch else "–",
            f"{epoch['lr']:.2e}",
            "kept" if epoch is best else "",
        )
    console.print(table)


def show_training_plan(plan: TrainingPlan) -> None:
    """Print model size, sample, schedule, memory, resources and time of a training."""
    print_lines(_plan_lines(plan))


def _plan_lines(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    recipe, cost = plan.recipe, plan.estimate.cost
    yield "model", f"{recipe.model.backbone} at {recipe.model.size_px} px, D = {cost.embedding_dim}"
    for line in cost.changes.lines() if cost.changes else ():
        yield "pretrained", line
    yield "parameters", str(cost.counts)
    yield "classes", ", ".join(plan.class_names)
    for split, (real, fake) in plan.sample.items():
        yield f"{split} sample", f"{real + fake:,} faces ({real:,} real, {fake:,} fake)"
    yield "counts", plan.source
    for sentence in plan.account:
        yield "manifest", sentence
    yield "schedule", _schedule(recipe)
    if schedule := plan.estimate.schedule:
        steps = f"{plan.estimate.steps_per_epoch:,} an epoch, {schedule.total_steps:,} in all"
        yield "steps", f"{steps}, {schedule.warmup_steps:,} of them warm-up"
    yield "memory", _memory(plan.estimate)
    if plan.gpus != 0:
        yield "on GPUs", _on_gpus(plan)
    cpus = ", ".join(f"{count} {name}" for name, count in plan.cpus.items())
    yield "CPUs", f"{sum(plan.cpus.values())} at once: {cpus}"
    automatic = "one for each worker, if the cluster has any"
    yield "GPUs", automatic if plan.gpus is None else str(plan.gpus)
    yield "time", _time(plan.estimate)


def _schedule(recipe: Recipe) -> str:
    section = recipe.training
    return (
        f"{section.epochs} epochs in batches of {recipe.batches.batch_size} faces; lr up to "
        f"{section.lr:g} over {section.warmup_epochs:g} epochs, then down to {section.min_lr:g} "
        "along a cosine"
    )


def _memory(estimate: TrainingEstimate) -> str:
    activations, state = estimate.saved_bytes / 2**30, estimate.state_bytes / 2**30
    return (
        f"{activations + state:.2f} GiB a worker: {state:.2f} weights, gradients and moments, "
        f"{activations:.2f} activations in float32 (in bf16 about half)"
    )


def _on_gpus(plan: TrainingPlan) -> str:
    from dfray.training.memory import advice, listed_needs

    bf16, needs = plan.recipe.training.precision != "float32", plan.estimate.needs
    if plan.gpu_gib is not None:
        return f"as this machine's: {advice(needs, plan.gpu_gib, bf16=bf16)}"
    listed = listed_needs(needs, bf16=bf16)
    return f"{listed}; `dfray plan --nodes 1x96cpu+8h100` says which way fits into given ones"


def _time(estimate: TrainingEstimate) -> str:
    if estimate.seconds is None:
        return "not known without the sample"
    gflops = estimate.flops_per_s / 1e9
    return (
        f"about {timedelta(seconds=round(estimate.seconds))} for the steps, on machines like this "
        f"one ({gflops:,.0f} GFLOP/s a worker, two fifths of a matrix product)"
    )
