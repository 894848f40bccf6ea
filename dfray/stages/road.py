"""The whole road in one Ray session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray.config import Recipe
from dfray.faces.shards import FacesStore
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import session
from dfray.stages.data import manifest_of
from dfray.stages.evaluation import evaluate
from dfray.stages.learning import tracking_uri, train
from dfray.stages.promotion import history as decisions
from dfray.stages.promotion import promote, register, score

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.registry.history import Decision
    from dfray.registry.score import FileScore


@dataclass(frozen=True)
class RunResult:
    """What the whole road ends with."""

    folder: RunFolder
    tracking_uri: str
    manifest: pa.Table
    store: FacesStore
    history: list[dict[str, float]]
    metrics: Metrics
    version: str
    decision: Decision
    scored: list[FileScore]


def run(recipe: Recipe, *, verbose: bool = False) -> RunResult:
    """From clips or corpora to a promoted detector, in one Ray session.

    Ends by scoring one held-out clip with whatever is the champion then, if there is one.
    """
    from dfray.registry.connection import connect

    folder = RunFolder(recipe)
    folder.claim()
    connect(tracking_uri(recipe))  # before any compute is spent
    with session(recipe.cluster, verbose=verbose):
        videos = manifest_of(recipe)
        history = train(recipe, verbose=verbose)
        metrics = evaluate(recipe, verbose=verbose)
        version = register(recipe)
        decision = _last_word(recipe, version) or promote(recipe, version=version, verbose=verbose)
    clip = _held_out_clip(videos, recipe.evaluation.split)
    uri = tracking_uri(recipe)
    scored = []
    if decision.promoted or decision.champion_before:
        with stage("score") as line:
            model = f"models:/{recipe.registry.model_name}@champion"
            scored = score([clip], model=model, tracking_uri=uri)
            line.finish(clip.rpartition("/")[2])
    return RunResult(
        folder,
        uri,
        videos,
        FacesStore(folder.faces),
        history,
        metrics,
        version,
        decision,
        scored,
    )


def _last_word(recipe: Recipe, version: str) -> Decision | None:
    """The decision that made `version` the champion, if none has come since."""
    moves = [decision for decision in decisions(recipe) if decision.promoted]
    return moves[-1] if moves and moves[-1].version == version else None


def _held_out_clip(videos: pa.Table, split: str) -> str:
    """The first fake of the split that training never saw."""
    rows = sorted(videos.to_pylist(), key=lambda row: (row["split"] != split, -row["label"]))
    return rows[0]["uri"]
