"""State of a paper's rows: what the runs' own states say, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from dfray.dependencies import Dependencies, of_faces
from dfray.errors import DfrayError
from dfray.evaluation.result_store import read_result
from dfray.models.bundle_description import read_decision_rule
from dfray.reproduction.rows import PaperRow
from dfray.run_context import RunContext
from dfray.run_status import StageStatus, run_status

STAGES = ("extract", "train", "evaluate")
"""Stages that a row's figures take, as `run_status` names them."""


@dataclass(frozen=True)
class RowState:
    """State of one row.

    Attributes:
        stages: of STAGES; those of a row that was never begun are due.
        problem: why the row cannot be trained, or what its last try ended with; None: nothing.
    """

    row: PaperRow
    run: RunContext
    stages: tuple[StageStatus, ...]
    problem: str | None = None

    @property
    def is_measured(self) -> bool:
        """True if the stored figures are of the recipe's evaluation."""
        return self.stages[-1].state == "done"

    @property
    def is_due(self) -> bool:
        """True if a stage of it is due."""
        return any(stage.state == "due" for stage in self.stages)

    def stage(self, name: str) -> StageStatus:
        """Return the status of one of STAGES."""
        return next(stage for stage in self.stages if stage.stage == name)


def state_of(row: PaperRow, run: RunContext, problem: str | None = None) -> RowState:
    """Return the state of a row by the videos that its run was last made to look at."""
    stages = tuple(StageStatus(name, "due") for name in STAGES)
    try:
        if run.is_listed:
            stages = tuple(run_status(run)[: len(STAGES)])
    except DfrayError as error:
        problem = problem or str(error)
    return RowState(row, run, stages, problem)


def measured_videos(run: RunContext) -> pa.Table:
    """Return VIDEO_SCORES of a run that is evaluated, without another look at a face.

    Raises:
        StorageError: a file of the evaluation cannot be read.
    """
    rule = read_decision_rule(run.folder.model)
    return read_result(run.folder.evaluation, run.evaluation_set, rule).video_scores


@dataclass(frozen=True)
class SharedFaces:
    """A store of faces, the rows that share it, and how its settings differ from those of the first store."""

    key: str
    rows: tuple[str, ...]
    differences: tuple[str, ...] = ()


def shared_faces(rows: Iterable[PaperRow]) -> list[SharedFaces]:
    """Return the stores of faces that rows need: each is one extraction.

    Raises:
        StorageError: the file of the face detector cannot be read.
    """
    needed: dict[str, tuple[Dependencies, list[str]]] = {}
    for row in rows:
        faces = of_faces(row.recipe)
        needed.setdefault(faces.key, (faces, []))[1].append(row.name)
    first: Mapping[str, object] | None = None
    stores = []
    for key, (faces, names) in needed.items():
        first = faces.values if first is None else first
        stores.append(SharedFaces(key, tuple(names), tuple(faces.changes(first))))
    return stores
