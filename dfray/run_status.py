"""State of each stage of a run: done, reused from another run, or due, and because of which keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dfray import storage
from dfray.dependencies import (
    Dependencies,
    former_key,
    of_figures,
    of_promotion,
    of_registration,
)
from dfray.models.bundle_description import read_decision_rule
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder, RunsOfName, names_of_runs

State = Literal["done", "reused", "due"]


@dataclass(frozen=True)
class StageStatus:
    """State of one stage.

    Attributes:
        detail: what there is, or the changes because of which the stage is due.
    """

    stage: str
    state: State
    detail: str = ""


def run_status(run: RunContext) -> list[StageStatus]:
    """Return the state of each stage after the manifest, in order; reads small files only.

    Raises:
        UserError: the manifest is not yet built, or no tracking server can be named.
    """
    trained = training_status(run)
    if trained.state == "due":
        later = [StageStatus(name, "due") for name in ("evaluate", "register", "promote")]
    else:
        later = [status(run) for status in (_figures, _registration, _promotion)]
    return [_faces(run), trained, *_in_order(later)]


def is_evaluated(run: RunContext) -> bool:
    """Return True if the stored figures are of the model and the evaluation that the recipe asks for."""
    return _figures(run).state == "done"


def training_status(run: RunContext) -> StageStatus:
    """Return the state of the training."""
    state = run.folder.state()
    if state.history is not None and state.reused:
        return StageStatus("train", "reused", f"from {state.reused}")
    if state.history is not None:
        return StageStatus("train", "done", f"{len(state.history)} epochs")
    if (source := finished_elsewhere(run)) is not None:
        return StageStatus("train", "reused", f"from {source.run_name}")
    if storage.exists(run.folder.recipe_file):
        return StageStatus("train", "due", "began before and has not ended")
    return StageStatus("train", "due", "; ".join(run.changes_since_latest()))


def finished_elsewhere(run: RunContext) -> RunFolder | None:
    """Return the run that has finished the same training elsewhere; None: there is none.

    It is of another name, or of the key that an earlier dfray gave to the same training.
    """
    key, runs = run.dependencies.key, run.runs
    former = former_key(run.recipe, run.dependencies)
    names = names_of_runs(runs.work_dir)
    places = [(name, key) for name in names if name != runs.name]
    places += [(name, former) for name in names if former is not None]
    for name, found in places:
        if found not in RunsOfName(runs.work_dir, name).run_keys():
            continue
        folder = RunFolder(run.recipe, root=storage.join(runs.work_dir, name, found))
        has_model = storage.exists(storage.join(folder.model, "bundle.json"))
        if has_model and folder.state().history is not None:
            return folder
    return None


def registration_of(run: RunContext) -> Dependencies:
    """Return what a registered version of the run depends on beside the training."""
    return of_registration(run.recipe, of_figures(run.recipe, run.manifest), run.tracking_uri)


def promotion_of(run: RunContext) -> Dependencies:
    """Return what a decision about the run's version depends on beside the training."""
    return of_promotion(run.recipe, registration_of(run))


def _faces(run: RunContext) -> StageStatus:
    extracted = run.extracted()
    if extracted.missing:
        detail = f"{extracted.missing:,} of {extracted.total:,} videos have none yet"
        return StageStatus("extract", "due", detail)
    return StageStatus("extract", "done", f"{extracted.total:,} videos")


def _figures(run: RunContext) -> StageStatus:
    state = run.folder.state()
    status = _compared("evaluate", of_figures(run.recipe, run.manifest), state.figures)
    if status.state == "done" and not storage.exists(run.folder.metrics):
        return StageStatus("evaluate", "due", f"{run.folder.metrics} is gone")
    if status.state == "done" and read_decision_rule(run.folder.model).stored() != state.measured:
        return StageStatus("evaluate", "due", "the model's decision rule was fitted anew")
    return status


def _registration(run: RunContext) -> StageStatus:
    state = run.folder.state()
    return _compared("register", registration_of(run), state.registered, f"version {state.version}")


def _promotion(run: RunContext) -> StageStatus:
    state = run.folder.state()
    outcome = "promoted" if state.promoted else "refused"
    return _compared("promote", promotion_of(run), state.decided, outcome)


def _compared(
    stage: str, now: Dependencies, earlier: Mapping[str, Any] | None, detail: str = ""
) -> StageStatus:
    if earlier is None:
        return StageStatus(stage, "due")
    changes = now.changes(earlier)
    return StageStatus(stage, "due" if changes else "done", "; ".join(changes) or detail)


def _in_order(statuses: list[StageStatus]) -> list[StageStatus]:
    """Return the states; after a stage that is due all are."""
    is_due = False
    ordered = []
    for status in statuses:
        is_due = is_due or status.state == "due"
        detail = status.detail if status.state == "due" or not is_due else ""
        ordered.append(StageStatus(status.stage, "due" if is_due else status.state, detail))
    return ordered
