"""What a search leaves behind, under <work_dir>/<name>/search; it is all that a resumed search knows.

recipe.yaml           the recipe it was begun with
search.json           its id, and the finalists once they are chosen
trials/<id>/          one run folder for each trial, where it trains, and:
    trial.json        its number, parameters and seed; written before it starts
    curve.json        the figures of every epoch
    end.json          how it ended
    checkpoint/       what it goes on from (one worker; more have Ray Train's, in train/)
    model/            the bundle of the epoch that was best by the search's metric
result.json           the SearchResult

Every file appears whole or not at all, so that a search may be cut off anywhere.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import yaml

from dfray import storage
from dfray.config import Recipe
from dfray.errors import UserError
from dfray.recipe import dump_recipe
from dfray.run_folder import RunFolder, differences
from dfray.search.result import State, Trial, Value


class TrialFolder:
    """The files of one trial beside those of its run; making one touches nothing."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.id = uri.rpartition("/")[2]
        self.checkpoint = storage.join(uri, "checkpoint")
        self.model = storage.join(uri, "model")
        self._trial = storage.join(uri, "trial.json")
        self._curve = storage.join(uri, "curve.json")
        self._end = storage.join(uri, "end.json")

    def exists(self) -> bool:
        return storage.exists(self._trial)

    def begin(
        self,
        number: int,
        parameters: Mapping[str, Value],
        seed: int,
        kind: Literal["search", "finalist"],
    ) -> None:
        told = {"number": number, "parameters": dict(parameters), "seed": seed, "kind": kind}
        _write(self._trial, told)

    def keep_curve(self, curve: list[dict[str, float]]) -> None:
        _write(self._curve, curve)

    def end(self, state: State, error: str | None = None) -> None:
        _write(self._end, {"state": state, "error": error})

    def read(self, figure: str, mode: Literal["max", "min"]) -> Trial:
        """The trial as far as it has come.

        Args:
            figure: the metric's name in the curve.
        """
        told, curve = _read(self._trial), _read(self._curve, [])
        ended = _read(self._end, {"state": "running", "error": None})
        values = [epoch[figure] for epoch in curve if figure in epoch]
        best = {"max": max, "min": min}[mode]
        return Trial(
            id=self.id,
            **told,
            **ended,
            curve=curve,
            value=best(values) if values else None,
            epochs=len(curve),
            run_id=None,
            folder=self.uri,
        )


class SearchFolder:
    """The places of the search of one run; making one touches nothing."""

    def __init__(self, run: RunFolder) -> None:
        self.recipe = run.recipe
        self.root = storage.join(run.root, "search")
        self.trials = storage.join(self.root, "trials")
        self.result = storage.join(self.root, "result.json")
        self._recipe_file = storage.join(self.root, "recipe.yaml")
        self._state = storage.join(self.root, "search.json")

    @property
    def has_ended(self) -> bool:
        """True once the search's result is written."""
        return storage.exists(self.result)

    def require_free(self, *, resume: bool) -> None:
        """Make sure that no other search was begun here, nor this one, unless it is to be gone on with.

        Raises:
            UserError: one was; what differs is named, or how to go on.
        """
        if not storage.exists(self._recipe_file):
            return
        there = Recipe.model_validate(yaml.safe_load(storage.read_bytes(self._recipe_file)))
        told = differences(_content(there), _content(self.recipe))
        if told:
            raise UserError(
                f"{self.root} holds another search of the name {self.recipe.name}: "
                f"{', '.join(told)}.",
                f"Give this one a name of its own (name=...), or remove {self.root}.",
            )
        if not resume and not self.has_ended:
            raise UserError(
                f"{self.root} holds a search of this recipe that has not ended.",
                f"Go on with it (--resume), or remove {self.root} to begin anew.",
            )

    def begin(self) -> None:
        """Bind the folder to the recipe and its search; one that was begun is left as it is."""
        if not storage.exists(self._recipe_file):
            _write(self._state, {"id": uuid.uuid4().hex})
            storage.write_bytes(dump_recipe(self.recipe).encode(), self._recipe_file)

    @cached_property
    def id(self) -> str:
        """Of this search alone, wherever it is tracked."""
        return _read(self._state)["id"]

    def trial(self, name: str) -> TrialFolder:
        return TrialFolder(storage.join(self.trials, name))

    def finalists(self) -> list[str] | None:
        """Ids of the trials that are repeated, if they have been chosen."""
        return _read(self._state).get("finalists")

    def choose_finalists(self, trials: list[str]) -> None:
        """Choose once: trials that a resumed search tries again change nothing then."""
        _write(self._state, {"id": self.id, "finalists": trials})


def _content(recipe: Recipe) -> dict[str, Any]:
    return recipe.content() | {"search": recipe.search.content()}


def _write(uri: str, value: Any) -> None:
    storage.write_bytes(json.dumps(value).encode(), uri)


def _read(uri: str, default: Any = None) -> Any:
    if default is not None and not storage.exists(uri):
        return default
    return json.loads(storage.read_bytes(uri))
