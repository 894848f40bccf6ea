"""Stages in order: each function does first what its stage needs of the stages before it.

The only stage that imports others; those leave their results in the run's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray.checks import Subject, require_sound
from dfray.progress import ASIDE, stage
from dfray.run_context import RunContext
from dfray.run_manifest import build_manifest
from dfray.stages.evaluation import evaluate
from dfray.stages.extraction import extract_missing_faces
from dfray.stages.promotion import promote
from dfray.stages.registration import register
from dfray.stages.registry import promotion_history, score
from dfray.stages.search import run_search
from dfray.stages.training import (
    History,
    is_trained,
    log_training,
    show_trained,
    train_model,
)

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.registry.history import PromotionRecord
    from dfray.search.result import SearchResult
    from dfray.serving.score_files import FileScore


@dataclass(frozen=True)
class RunResult:
    """Result of the whole pipeline."""

    run: RunContext
    history: History
    metrics: Metrics
    version: str
    decision: PromotionRecord
    scored: list[FileScore]


def run_pipeline(run: RunContext) -> RunResult:
    """Run every stage from clips or corpora to a promoted detector, in one Ray session.

    The last stage scores one held-out clip with the champion, if there is one.

    Raises:
        CheckError: a stage would fail, or no model can pass the gates; nothing was started.
    """
    if not is_trained(run):
        subject = Subject(run)
        require_sound(subject, "run")
        run.folder.claim()
        _ensure_manifest(subject)
    with run.session():
        history = _train(run)
        metrics = evaluate(run)
        version = register(run)
        decision = _standing_promotion(run, version) or promote(run, version=version)
    has_champion = decision.promoted or decision.champion_before
    scored = score_held_out_clip(run) if has_champion else []
    return RunResult(run, history, metrics, version, decision, scored)


def extract(run: RunContext) -> pa.Table:
    """Extract the faces of every video that has none yet, the manifest built first if need be.

    Returns:
        SUMMARIES of all of the run's videos.

    Raises:
        CheckError: the extraction would fail; nothing was started.
    """
    subject = Subject(run)
    require_sound(subject, "extract")
    run.folder.claim()
    _ensure_manifest(subject)
    return extract_missing_faces(run)


def train(run: RunContext) -> History:
    """Train the recipe's model, and keep the bundle of the best epoch.

    Missing faces are extracted first, or feed the first epoch as they are extracted
    (batches.stream_first_epoch). MLflow may be unreachable meanwhile; at the end it must take every epoch.

    Returns:
        The metrics of every epoch.

    Raises:
        CheckError: the training would fail; nothing was started.
        RegistryError: MLflow does not answer at the end. The model is stored: train again once it does.
    """
    if not is_trained(run):
        subject = Subject(run)
        require_sound(subject, "train")
        run.folder.claim()
        _ensure_manifest(subject)
    return _train(run)


def _train(run: RunContext) -> History:
    """Train as `train`, once its checks are done and the manifest is written."""
    if is_trained(run):
        run.folder.claim()
        show_trained(run)
        return log_training(run)
    tracked = run.tracking_run()
    with run.session():
        if not run.recipe.batches.stream_first_epoch:
            _ensure_faces(run)
        train_model(run, tracked)
    return log_training(run)


def search(run: RunContext, *, resume: bool = False) -> SearchResult:
    """Search the recipe's space, repeat the best with fresh seeds, and register the winner as `candidate`.

    Args:
        resume: continue a search that was cut off, or start one.

    Raises:
        CheckError: the search would fail; nothing was started.
        UserError: the folder holds an unfinished search, and `resume` is False.
        ResourceError: not even one trial fits on the cluster.
        SearchError: no trial reported the metric.
    """
    from dfray.search.folder import SearchFolder
    from dfray.search.result import SearchResult

    folder = SearchFolder(run.folder)
    folder.require_free(resume=resume)
    if folder.has_ended:
        return SearchResult.load(folder.result)
    subject = Subject(run)
    require_sound(subject, "search")
    run.folder.claim()
    _ensure_manifest(subject)
    with run.session():
        _ensure_faces(run)
        return run_search(run, folder)


def _ensure_manifest(subject: Subject) -> None:
    if not subject.run.has_manifest:
        build_manifest(subject.run, subject.manifest)


def _ensure_faces(run: RunContext) -> None:
    if run.extracted().missing:
        extract_missing_faces(run)


def _standing_promotion(run: RunContext, version: str) -> PromotionRecord | None:
    """Return the decision that made `version` the champion, if none has moved the alias since."""
    moves = [decision for decision in promotion_history(run) if decision.moved]
    return moves[-1] if moves and moves[-1].version.number == version else None


def score_held_out_clip(run: RunContext) -> list[FileScore]:
    """Score one clip that training never saw with the champion; [] if the split has no video file."""
    split = run.recipe.evaluation.split
    clip = held_out_clip(run.manifest, split)
    with stage("score") as line:
        if clip is None:
            line.say(f"Split {split} has no video file: no clip is scored.")
            line.finish("skipped", ASIDE)
            return []
        model = f"models:/{run.recipe.registry.model_name}@champion"
        scored = score([clip], model=model, tracking_uri=run.tracking_uri)
        line.finish(clip.rpartition("/")[2])
    return scored


def held_out_clip(videos: pa.Table, split: str) -> str | None:
    """Return the first fake video file of the split, or else the first real one."""
    files = [r for r in videos.to_pylist() if r["split"] == split and r["kind"] == "video"]
    return max(files, key=lambda row: row["label"])["uri"] if files else None
