"""The whole road in one Ray session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray.config import Recipe
from dfray.faces.shards import FacesStore
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import require_cluster, session
from dfray.stages.data import manifest_of
from dfray.stages.evaluation import evaluate
from dfray.stages.promotion import promote, register
from dfray.stages.registry import history as decisions
from dfray.stages.registry import score
from dfray.stages.training import tracking_uri, train

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.registry.history import Decision
    from dfray.serving.score_files import FileScore


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
    from dfray.tracking.client import connect

    require_cluster(recipe.cluster)
    folder = RunFolder(recipe)
    folder.claim()
    connect(tracking_uri(recipe))  # before any compute is spent
    with session(recipe.cluster, verbose=verbose):
        videos = manifest_of(recipe)
        history = train(recipe, verbose=verbose)
        metrics = evaluate(recipe, verbose=verbose)
        version = register(recipe)
        decision = _last_word(recipe, version) or promote(recipe, version=version, verbose=verbose)
    has_champion = decision.promoted or decision.champion_before
    scored = score_held_out_clip(recipe, videos) if has_champion else []
    return RunResult(
        folder,
        tracking_uri(recipe),
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
    moves = [decision for decision in decisions(recipe) if decision.moved]
    return moves[-1] if moves and moves[-1].version.number == version else None


def score_held_out_clip(recipe: Recipe, videos: pa.Table) -> list[FileScore]:
    """The champion's score of one clip that training never saw; none if there are only pictures."""
    split = recipe.evaluation.split
    clip = held_out_clip(videos, split)
    with stage("score") as line:
        if clip is None:
            line.say(f"Split {split} has no video file: no clip is scored.")
            line.finish("skipped")
            return []
        model = f"models:/{recipe.registry.model_name}@champion"
        scored = score([clip], model=model, tracking_uri=tracking_uri(recipe))
        line.finish(clip.rpartition("/")[2])
    return scored


def held_out_clip(videos: pa.Table, split: str) -> str | None:
    """The first fake video file of the split, or else the first real one; `score` reads no folders."""
    files = [r for r in videos.to_pylist() if r["split"] == split and r["kind"] == "video"]
    return max(files, key=lambda row: row["label"])["uri"] if files else None
