"""Searches that have ended, made of a formula: the metric is best at w = 0.2, m = 1, and noise is drawn."""

from __future__ import annotations

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution

from dfray.search.result import Finalist, SearchResult, Trial

W, M = "objective.triplet.weight", "objective.triplet.margin"
SPACE: dict[str, BaseDistribution] = {
    W: FloatDistribution(0.01, 1.0, log=True),
    M: FloatDistribution(0.1, 2.0),
}
EPOCHS = 8


def ended_search(
    n: int, *, failed: int = 0, finalists: int = 3, metric: str = "val_auc", folder: str = "search"
) -> SearchResult:
    """`n` trials, the last `failed` of them failed before their first epoch; half are stopped at epoch 2."""
    rng = np.random.default_rng(0)
    trials = [_trial(number, n - failed, metric, rng) for number in range(n)]
    good = [trial for trial in trials if trial.value is not None and trial.state == "finished"]
    sign = 1 if metric == "val_log_loss" else -1
    best = sorted(good, key=lambda trial: sign * trial.value)[:finalists]
    ended = [
        Finalist(one.id, one.parameters, [_again(one, place, seed, rng) for seed in range(3)])
        for place, one in enumerate(best)
    ]
    ended.sort(key=lambda finalist: sign * finalist.mean)
    return SearchResult(
        recipe_name="demo",
        metric=metric,
        mode="min" if sign == 1 else "max",
        epochs=EPOCHS,
        trials=trials,
        finalists=ended,
        winner=ended[0].runs[0] if ended else best[0] if best else good[0],
        winning_trial=ended[0].trial if ended else good[0].id,
        parent_run_id="f" * 32,
        tracking_uri="http://127.0.0.1:5000",
        version="3",
        folder=folder,
    )


def _trial(number: int, alive: int, metric: str, rng: np.random.Generator) -> Trial:
    parameters = {W: float(10 ** rng.uniform(-2, 0)), M: float(rng.uniform(0.1, 2))}
    fails = number >= alive
    stopped = not fails and number % 2 == 1
    epochs = 0 if fails else 2 if stopped else EPOCHS
    quality = _quality(parameters) - (0.05 if stopped else 0)
    curve = [
        {
            "epoch": float(epoch),
            "val_auc": quality - 0.3 * 0.6**epoch + float(rng.normal(0, 0.004)),
            "val_log_loss": 1 - quality + 0.3 * 0.6**epoch,
        }
        for epoch in range(epochs)
    ]
    best = min if metric == "val_log_loss" else max
    return Trial(
        id=f"{number:04d}",
        number=number,
        parameters=parameters,
        seed=7,
        kind="search",
        state="failed" if fails else "stopped" if stopped else "finished",
        curve=curve,
        value=best(row[metric] for row in curve) if curve else None,
        epochs=epochs,
        run_id=f"{number:08x}" * 4,
        folder=f"search/trials/{number:04d}",
        error="The loss is not finite at step 3: <nan>." if fails else None,
    )


def _quality(parameters: dict[str, float]) -> float:
    return 0.97 - 0.12 * abs(np.log10(parameters[W] / 0.2)) - 0.03 * abs(parameters[M] - 1)


def _again(trial: Trial, place: int, seed: int, rng: np.random.Generator) -> Trial:
    return Trial(
        id=f"finalist-{place}-seed-{seed}",
        number=3 * place + seed,
        parameters=trial.parameters,
        seed=100 + seed,
        kind="finalist",
        state="finished",
        curve=trial.curve,
        value=trial.value + float(rng.normal(0, 0.005)),
        epochs=EPOCHS,
        run_id=f"{1000 + 3 * place + seed:08x}" * 4,
        folder=f"search/finalists/{place}-{seed}",
    )
