"""Files of a search, under <work_dir>/<name>/search; a resumed search reads nothing else.

recipe.yaml           the recipe that the search was started with
manifest.parquet      VIDEOS of all trials, as the corpora were when the search was started
search.json           its id, what its metric is over, and the ids of the finalists once they are chosen
trials/<id>/          one run folder for each trial, and in it:
    trial.json        its number, parameters and seed; written before it starts
    curve.json        the metrics of every epoch
    end.json          its final state
    checkpoint/       the state to resume from (one worker; several have Ray Train's, in train/)
    model/            the bundle of the epoch that was best by the search's metric
result.json           the SearchResult

Every file is written atomically, so that a search may be killed at any moment.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

from dfray import storage
from dfray.batches.labels import datasets_of_both
from dfray.config import Recipe
from dfray.dependencies import Dependencies
from dfray.documents import read_json, validated
from dfray.errors import UserError
from dfray.nested import flatten
from dfray.recipe import dump_recipe
from dfray.run_folder import RunFolder, stored_recipe
from dfray.search.result import State, Trial, Value
from dfray.tables import VIDEOS

_HINT = "dfray writes this file: change it back, or give the search another name (name=...)."
T = TypeVar("T")


@dataclass(frozen=True)
class _Start:
    """Content of trial.json."""

    number: int
    parameters: dict[str, Value]
    seed: int
    kind: Literal["search", "finalist"]


@dataclass(frozen=True)
class _End:
    """Content of end.json."""

    state: State = "running"
    error: str | None = None


@dataclass(frozen=True)
class _Begun:
    """Content of search.json."""

    id: str
    metric_over: Literal["videos", "datasets"] = "videos"
    """What the validation's metric is the mean over; of an earlier dfray all videos, pooled."""
    finalists: list[str] | None = None


class TrialFolder:
    """URIs of one trial's files besides those of its run; making one reads and writes nothing."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.id = uri.rpartition("/")[2]
        self.checkpoint = storage.join(uri, "checkpoint")
        self.model = storage.join(uri, "model")
        self._trial = storage.join(uri, "trial.json")
        self._curve = storage.join(uri, "curve.json")
        self._end = storage.join(uri, "end.json")

    def exists(self) -> bool:
        """Return whether the trial has been started."""
        return storage.exists(self._trial)

    def begin(
        self,
        number: int,
        parameters: Mapping[str, Value],
        seed: int,
        kind: Literal["search", "finalist"],
    ) -> None:
        """Write the trial's number, parameters and seed, before it starts."""
        values = {"number": number, "parameters": dict(parameters), "seed": seed, "kind": kind}
        _write(self._trial, values)

    def write_curve(self, curve: list[dict[str, float]]) -> None:
        _write(self._curve, curve)

    def end(self, state: State, error: str | None = None) -> None:
        """Write the trial's final state."""
        _write(self._end, {"state": state, "error": error})

    def read(self, metric_key: str, mode: Literal["max", "min"]) -> Trial:
        """Return the trial with the epochs that it has reported.

        Args:
            metric_key: the metric's key in the curve.
        """
        start, end = _read(_Start, self._trial), _read(_End, self._end, _End())
        curve = _read(list[dict[str, float]], self._curve, [])
        values = [epoch[metric_key] for epoch in curve if metric_key in epoch]
        best = {"max": max, "min": min}[mode]
        return Trial(
            id=self.id,
            number=start.number,
            parameters=start.parameters,
            seed=start.seed,
            kind=start.kind,
            state=end.state,
            error=end.error,
            curve=curve,
            value=best(values) if values else None,
            epochs=len(curve),
            run_id=None,
            folder=self.uri,
        )


class SearchFolder:
    """URIs of one run's search; making one reads and writes nothing."""

    def __init__(self, run: RunFolder) -> None:
        self.recipe = run.recipe
        self.root = storage.join(run.root, "search")
        self.trials = storage.join(self.root, "trials")
        self.result = storage.join(self.root, "result.json")
        self.manifest = storage.join(self.root, "manifest.parquet")
        self._recipe_file = storage.join(self.root, "recipe.yaml")
        self._state = storage.join(self.root, "search.json")

    @property
    def has_begun(self) -> bool:
        """True once the search is bound to its recipe."""
        return storage.exists(self._recipe_file)

    @property
    def has_ended(self) -> bool:
        """True once the search's result is written."""
        return storage.exists(self.result)

    def require_free(self, *, resume: bool) -> None:
        """Check that the folder holds no other search, and no unfinished one unless it is resumed.

        Raises:
            UserError: it does; the message lists the differences, or the hint how to resume.
        """
        if not self.has_begun:
            return
        stored = stored_recipe(self._recipe_file)
        changes = _dependencies(self.recipe).changes(_dependencies(stored).values)
        if changes:
            raise UserError(
                f"{self.root} holds another search of the name {self.recipe.name}: "
                f"{', '.join(changes)}.",
                f"Give this search another name (name=...), or remove {self.root}.",
            )
        if not resume and not self.has_ended:
            raise UserError(
                f"{self.root} holds a search of this recipe that has not ended.",
                f"Resume it (--resume), or remove {self.root} to start again.",
            )
        if not self.has_ended:
            self._require_one_metric()

    def _require_one_metric(self) -> None:
        """Check that the trials so far were compared by the metric of today.

        Raises:
            UserError: an earlier dfray pooled the videos of several datasets; the values do not compare.
        """
        if _read(_Begun, self._state).metric_over == "datasets":
            return
        datasets = datasets_of_both(VIDEOS.read(self.manifest), "val")
        if len(datasets) > 1:
            raise UserError(
                f"{self.root} holds a search of an earlier dfray, whose trials were compared over all "
                f"validation videos pooled; now it is the mean over {len(datasets)} datasets.",
                f"Give this search another name (name=...), or remove {self.root}.",
            )

    def begin(self) -> None:
        """Bind the folder to the recipe and its search, unless it is bound already."""
        if not self.has_begun:
            self._write_state(_Begun(uuid.uuid4().hex, "datasets"))
            storage.write_bytes(dump_recipe(self.recipe).encode(), self._recipe_file)

    @cached_property
    def id(self) -> str:
        """Unique id of this search, on every tracking server."""
        return _read(_Begun, self._state).id

    def trial(self, name: str) -> TrialFolder:
        """Return the folder of one trial."""
        return TrialFolder(storage.join(self.trials, name))

    def finalists(self) -> list[str] | None:
        """Return the ids of the trials that are repeated; None: not yet chosen."""
        return _read(_Begun, self._state).finalists

    def choose_finalists(self, trials: list[str]) -> None:
        """Write the ids of the trials that are repeated; a resumed search keeps them."""
        self._write_state(replace(_read(_Begun, self._state), finalists=trials))

    def _write_state(self, state: _Begun) -> None:
        _write(self._state, asdict(state))


def _dependencies(recipe: Recipe) -> Dependencies:
    """Return the recipe's keys that the search's result depends on."""
    return Dependencies(dict(flatten(recipe.content() | {"search": recipe.search.content()})))


def _write(uri: str, value: Any) -> None:
    storage.write_bytes(json.dumps(value).encode(), uri)


def _read(kind: type[T], uri: str, default: T | None = None) -> T:
    """Return the content of a JSON file of the search, or the default if it is not there yet.

    Raises:
        UserError: it was edited to hold something else, or is damaged.
    """
    if default is not None and not storage.exists(uri):
        return default
    return validated(kind, read_json(uri, hint=_HINT, with_nan=True), uri, hint=_HINT)
