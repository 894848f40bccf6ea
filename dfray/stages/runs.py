"""Runs of a work_dir: listed, compared, and freed of what none of them needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dfray import storage
from dfray.dependencies import Dependencies
from dfray.documents import read_json, validated
from dfray.errors import UserError
from dfray.evaluation.names import ALL_VIDEOS
from dfray.nested import flatten
from dfray.run_folder import RunFolder, RunsOfName, RunState, keyed_folders, names_of_runs


@dataclass(frozen=True)
class StoredRun:
    """One run of a work_dir.

    Attributes:
        began: time, UTC, ISO 8601.
        changes: what its training depends on that differs from the run of its name before it.
        figures: metrics of videos, name -> [value, low, high]: the mean over columns, and pooled if there
            are several; empty: not evaluated.
        size_bytes: of its folder.
        is_latest: a command used it last, of those of its name.
    """

    folder: RunFolder
    began: str
    dependencies: Dependencies
    changes: list[str]
    state: RunState
    figures: dict[str, list[float | None]]
    size_bytes: int
    is_latest: bool

    @property
    def name(self) -> str:
        """NAME/KEY."""
        return self.folder.run_name

    @property
    def progress(self) -> str:
        """The last stage that is done, in words."""
        if self.state.version is not None:
            outcome = "promoted" if self.state.promoted else "registered"
            return f"{outcome}, version {self.state.version}"
        if self.figures:
            return "evaluated"
        if self.state.history is None:
            return "not trained"
        return f"reused from {self.state.reused}" if self.state.reused else "trained"


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side: (name, value of the first, of the second)."""

    runs: tuple[StoredRun, StoredRun]
    keys: list[tuple[str, Any, Any]]
    figures: list[tuple[str, list[float | None] | None, list[float | None] | None]]


@dataclass(frozen=True)
class Unneeded:
    """Folder that no run needs."""

    uri: str
    reason: str
    size_bytes: int


@dataclass(frozen=True)
class _Group:
    video: dict[str, Any]


@dataclass(frozen=True)
class _Metrics:
    """Content of metrics.json, as far as it is listed."""

    overall: _Group
    mean: dict[str, Any] | None = None


def list_runs(work_dir: str) -> list[StoredRun]:
    """Return the runs of a work_dir, by name, the oldest first."""
    return [run for name in names_of_runs(work_dir) for run in _of_name(RunsOfName(work_dir, name))]


def compare_runs(work_dir: str, first: str, second: str) -> Comparison:
    """Return two runs side by side: the recipe keys that differ, and all figures.

    Args:
        first, second: NAME, the latest run of that name, or NAME/KEY, of which a part is enough.

    Raises:
        UserError: there is no such run; the message lists those that exist.
    """
    runs = list_runs(work_dir)
    pair = _find(runs, first), _find(runs, second)
    recipes = [dict(flatten(run.folder.stored_recipe().model_dump(mode="json"))) for run in pair]
    names = sorted(recipes[0].keys() | recipes[1].keys())
    keys = [(name, recipes[0].get(name), recipes[1].get(name)) for name in names]
    figures = dict.fromkeys([*pair[0].figures, *pair[1].figures])
    return Comparison(
        pair,
        [(name, left, right) for name, left, right in keys if left != right],
        [(name, pair[0].figures.get(name), pair[1].figures.get(name)) for name in figures],
    )


def clean(work_dir: str, *, remove: bool) -> list[Unneeded]:
    """Return the folders of a work_dir that no run and no registered version needs.

    A registered version has a copy of its model in the registry. A run whose model is trained is always
    kept, as is what a command writes to now.

    Args:
        remove: also remove them.
    """
    runs = list_runs(work_dir)
    unneeded = [
        Unneeded(uri, reason, size_bytes)
        for uri, reason in [*_of_runs(runs), *_shared(storage.absolute(work_dir), runs)]
        if storage.holder_of(uri) is None and (size_bytes := storage.total_bytes(uri))
    ]
    for item in unneeded if remove else []:
        storage.remove_tree(item.uri)
    return unneeded


def _of_name(runs: RunsOfName) -> list[StoredRun]:
    latest, stored = runs.latest(), list[StoredRun]()
    roots = [storage.join(runs.root, key) for key in runs.run_keys()]
    folders = [RunFolder.at(root) for root in roots if storage.exists(f"{root}/recipe.yaml")]
    records = [(folder.record(), folder) for folder in folders]
    for record, folder in sorted(records, key=lambda pair: str(pair[0]["began"])):
        dependencies = Dependencies(record["dependencies"])
        stored.append(
            StoredRun(
                folder=folder,
                began=record["began"],
                dependencies=dependencies,
                changes=dependencies.changes(stored[-1].dependencies.values) if stored else [],
                state=folder.state(),
                figures=_figures(folder),
                size_bytes=storage.total_bytes(folder.root),
                is_latest=folder.root.endswith(f"/{latest}"),
            )
        )
    return stored


def _figures(folder: RunFolder) -> dict[str, list[float | None]]:
    if not storage.exists(folder.metrics):
        return {}
    metrics = validated(_Metrics, read_json(folder.metrics, with_nan=True), folder.metrics)
    pooled, mean = metrics.overall.video, metrics.mean or {"name": ALL_VIDEOS}
    if mean.get("name") == ALL_VIDEOS:
        return _intervals(pooled)
    return _intervals(mean) | _intervals(pooled, ", pooled")


def _intervals(level: dict[str, Any], suffix: str = "") -> dict[str, list[float | None]]:
    return {
        name + suffix: [value["value"], value["low"], value["high"]]
        for name, value in level.items()
        if isinstance(value, dict) and {"value", "low", "high"} <= value.keys()
    }


def _find(runs: list[StoredRun], reference: str) -> StoredRun:
    name, _, key = reference.partition("/")
    matching = [run for run in runs if run.name.startswith(f"{name}/{key}")]
    if not key:
        matching = [run for run in matching if run.is_latest]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(run.name for run in runs) or "none"
    raise UserError(
        f"{'Several runs are' if matching else 'No run is'} called {reference}.",
        f"There are: {names}.",
    )


def _of_runs(runs: list[StoredRun]) -> Iterator[tuple[str, str]]:
    """Yield parts of runs that are of no more use, and runs that were given up."""
    for run in runs:
        if storage.holder_of(run.folder.root) is not None:
            continue
        if run.state.history is None and not run.is_latest:
            began = storage.total_bytes(run.folder.checkpoints) > 0
            state = "a training that was cut off" if began else "not trained"
            yield run.folder.root, f"{state}, and not the latest of its name"
            continue
        if run.state.history is not None:
            yield run.folder.checkpoints, "checkpoints of a training that has ended"
        yield storage.join(run.folder.root, "versions"), "copies of registered models"


def _shared(work_dir: str, runs: list[StoredRun]) -> Iterator[tuple[str, str]]:
    """Yield stores of faces, and clips of the demo, that no run is made of."""
    needed = [run for run in runs if run.state.history is not None or run.is_latest]
    faces = {run.dependencies.of_faces().key for run in needed}
    clips = {
        corpus.root.rpartition("/")[2]
        for run in needed
        for corpus in run.folder.stored_recipe().corpora
        if corpus.reader == "demo"
    }
    for folder, keys in (("faces", faces), ("clips", clips)):
        for key in keyed_folders(storage.join(work_dir, folder)):
            if key not in keys:
                yield storage.join(work_dir, folder, key), f"{folder} that no run is made of"
