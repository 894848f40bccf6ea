"""Stages in order: each function does first what its stage needs of the stages before it.

The only stage that imports others; those leave their results in the run's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.checks import Stage, Subject, require_sound
from dfray.checks.leaks import require_distinct_faces
from dfray.notes import note
from dfray.progress import ASIDE, stage
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from dfray.run_manifest import build_manifest, check_manifest
from dfray.run_status import StageStatus, run_status, training_status
from dfray.stages.audit import audit_run
from dfray.stages.evaluation import evaluate
from dfray.stages.extraction import extract_missing_faces, remove_damaged_shards
from dfray.stages.promotion import promote
from dfray.stages.registration import register
from dfray.stages.registry import score
from dfray.stages.search import run_search
from dfray.stages.training import (
    History,
    is_trained,
    log_training,
    reuse_training,
    show_trained,
    train_model,
)
from dfray.tables import FAKE, Row

if TYPE_CHECKING:
    from dfray.audit.result import Audit
    from dfray.evaluation.metrics import Metrics
    from dfray.registry.history import PromotionRecord
    from dfray.search.result import SearchResult
    from dfray.serving.score_table import FileScore


@dataclass(frozen=True)
class RunResult:
    """Result of the whole pipeline.

    Attributes:
        statuses: of each stage before the run began.
        metrics: of the run's model; None if no stage was due.
        promoted: the last decision about the run's version.
        decision: None if the same was decided before.
    """

    run: RunContext
    statuses: list[StageStatus]
    metrics: Metrics | None
    promoted: bool
    decision: PromotionRecord | None
    scored: list[FileScore]

    @property
    def has_champion(self) -> bool:
        """True if the run's version is the champion, or another was before it."""
        return self.promoted or (self.decision is not None and bool(self.decision.champion_before))


def run_pipeline(run: RunContext) -> RunResult:
    """Run every stage that is due, from clips or corpora to a promoted detector, in one Ray session.

    The last stage scores one held-out clip with the champion, if there is one. If no stage is due, Ray is not
    started, and MLflow is not asked.

    Raises:
        CheckError: a stage would fail, or no model can pass the gates, and nothing was started; or equal
            faces, as of `train`.
        LockedError: another command writes to the run's folder; nothing was started.
    """
    subject = _look_at_corpora(run, "run")
    statuses = run_status(run)
    show_status(statuses)
    due_stages = {status.stage for status in statuses if status.state == "due"}
    if due_stages & {"extract", "train"}:
        require_sound(subject, "run")
    with _begun(subject):
        if not due_stages:
            return RunResult(run, statuses, None, run.folder.state().promoted, None, [])
        return _run_due(run, statuses, due_stages)


def _run_due(run: RunContext, statuses: list[StageStatus], due_stages: set[str]) -> RunResult:
    with run.session() if due_stages & {"extract", "train", "evaluate"} else nullcontext():
        _train(run)
        extract_missing_faces(run)  # such as those of new test videos
        metrics = evaluate(run)
        version = register(run)
        decision = promote(run, version=version) if "promote" in due_stages else None
    has_champion = decision is not None and (decision.promoted or decision.champion_before)
    scored = score_held_out_clip(run) if has_champion else []
    promoted = run.folder.state().promoted
    return RunResult(run, statuses, metrics, promoted, decision, scored)


def status(run: RunContext) -> list[StageStatus]:
    """Return the state of each stage, after a look at the corpora; writes nothing."""
    run.look_at(check_manifest(run).videos)
    return run_status(run)


def show_status(statuses: list[StageStatus]) -> None:
    """Draw the line of each stage that is done, and say why the others are due."""
    for item in statuses:
        if item.state == "due":
            say_due(item)
            continue
        with stage(item.stage) as line:
            line.finish(f"{item.state} {item.detail}".strip())


def say_due(item: StageStatus) -> None:
    """Say why a stage that was done before is due, if it was."""
    if item.detail:
        note(f"· {item.stage}: {item.detail}")


def extract(run: RunContext, *, verify: bool = False) -> pa.Table:
    """Extract the faces of every video that has none yet, after a look at the corpora.

    Args:
        verify: first compare all stored faces with what was committed; those of damaged shards are missing.

    Returns:
        SUMMARIES of all of the run's videos.

    Raises:
        CheckError: the extraction would fail; nothing was started.
        LockedError: another command extracts into the store that is to be verified.
    """
    if verify:
        remove_damaged_shards(run)
    subject = _look_at_corpora(run, "extract")
    if subject.missing:
        require_sound(subject, "extract")
    with _begun(subject):
        return extract_missing_faces(run)


def audit(run: RunContext) -> Audit:
    """Audit the run's videos after a look at the corpora, and write the result and its page.

    Raises:
        CheckError: the corpora cannot be read.
        LockedError: another command writes to the run's folder.
    """
    with _begun(_look_at_corpora(run, "audit")):
        return audit_run(run)


def train(run: RunContext) -> History:
    """Train the recipe's model, and keep the bundle of the best epoch.

    The corpora are looked at anew. Missing faces are extracted first, or feed the first epoch as they are
    extracted (batches.stream_first_epoch). MLflow may be unreachable meanwhile; at the end it must take every
    epoch. A run of another name that has finished the same training is reused.

    Returns:
        The metrics of every epoch.

    Raises:
        CheckError: the training would fail, and nothing was started; or the extracted faces of videos in
            training and in test are equal, and the training was not begun, or ended after a streamed epoch.
        RegistryError: MLflow does not answer at the end. The model is stored: train again once it does.
    """
    subject = _look_at_corpora(run, "train")
    trained = training_status(run)
    if trained.state == "due":
        say_due(trained)
        require_sound(subject, "train")
    with _begun(subject):
        history = _train(run)
    if trained.state != "due":
        show_trained(run)
    return history


def _look_at_corpora(run: RunContext, for_stage: Stage) -> Subject:
    """Make the run's manifest that of the corpora now, without writing it; return the run to be checked.

    Raises:
        CheckError: the corpora cannot be read, or something else that the stage would fail by.
    """
    subject = Subject(run)
    if subject.videos is None:
        require_sound(subject, for_stage)
    run.look_at(subject.manifest.videos)
    return subject


@contextmanager
def _begun(subject: Subject) -> Iterator[None]:
    """Write the manifest and the run's folder, unless they are written, and lock the folder in the block."""
    run = subject.run
    run.runs.require_keyed(run.folder.faces)
    with run.locked():
        build_manifest(run, subject.manifest)
        run.claim()
        yield


def _train(run: RunContext) -> History:
    if not is_trained(run):
        reuse_training(run)
    if is_trained(run):
        return log_training(run)
    with run.tracking_run() as tracked:
        with run.session():
            if not run.recipe.batches.stream_first_epoch:
                extract_missing_faces(run)
            train_model(run, tracked)
        return log_training(run)


def search(run: RunContext, *, resume: bool = False) -> SearchResult:
    """Search the recipe's space, repeat the best with fresh seeds, and register the winner as `candidate`.

    Args:
        resume: continue a search that was cut off, or start one.

    Raises:
        CheckError: the search would fail, and nothing was started; or the extracted faces of videos in
            training and in test are equal, and no trial was started.
        LockedError: another command runs this search, or writes to the run's folder.
        UserError: the folder holds an unfinished search, and `resume` is False.
        ResourceError: not even one trial fits on the cluster.
        SearchError: no trial reported the metric.
    """
    from dfray.datasets.manifest import Manifest, read_manifest
    from dfray.search.folder import SearchFolder
    from dfray.search.result import SearchResult

    folder = SearchFolder(RunFolder(run.recipe))
    storage.require_unlocked(folder.root)
    folder.require_free(resume=resume)
    if folder.has_ended:
        return SearchResult.load(folder.result)
    subject = Subject(run)
    if folder.has_begun:  # its trials are compared on the videos that it began with
        subject = Subject(run, lambda _: Manifest(read_manifest(folder.manifest)))
    require_sound(subject, "search")
    run.look_at(subject.manifest.videos)
    with run.claimed() if folder.has_begun else _begun(subject):
        pass  # what follows is written to the search's folder
    with run.session():
        extract_missing_faces(run)
        require_distinct_faces(run.faces)
        return run_search(run, folder)


def score_held_out_clip(run: RunContext) -> list[FileScore]:
    """Score one clip that training never saw with the champion, and write the page of it, with the truth.

    Returns:
        [] if the split has no video file.
    """
    split = run.recipe.evaluation.split
    clip = held_out_clip(run.manifest, split)
    with stage("score") as line:
        if clip is None:
            line.say(f"Split {split} has no video file: no clip is scored.")
            line.finish("skipped", ASIDE)
            return []
        model = f"models:/{run.recipe.registry.model_name}@champion"
        scores = score(
            [clip["uri"]],
            model=model,
            tracking_uri=run.tracking_uri,
            report=run.folder.score_page,
            truths={clip["uri"]: truth_of(clip)},
        )
        scored = list(scores)
        line.finish(run.folder.score_page)
    return scored


def truth_of(video: Row) -> str:
    """Return what a row of VIDEOS states about the video, for people."""
    return f"fake ({video['method']})" if video["label"] == FAKE else "real"


def held_out_clip(videos: pa.Table, split: str) -> Row | None:
    """Return the first fake video file of the split, or else the first real one."""
    files = [r for r in videos.to_pylist() if r["split"] == split and r["kind"] == "video"]
    return max(files, key=lambda row: row["label"]) if files else None
