"""Where a run keeps what, under <work_dir>/<name>; and whose name it is.

recipe.yaml        the recipe as it was resolved, defaults included
clips/             the demo's generated videos
manifest.parquet   VIDEOS
faces/             FACES, OUTCOMES and SUMMARIES in shards
train/             Ray Train's checkpoints
not_finite/        batches whose loss was not finite, one .npz for each step and worker
model/             the bundle of the best epoch
evaluation/        scores.parquet, metrics.json, metrics.md, report.html, and tables of protocols
versions/          bundles of registered models that were measured here
search/            the trials of a search, each a run folder, and what was found
"""

from __future__ import annotations

import json
import os
from typing import Any

import yaml

from dfray import storage
from dfray.config import Recipe
from dfray.errors import UserError
from dfray.nested import flatten
from dfray.recipe import dump_recipe


class RunFolder:
    """The places of one run; making one touches nothing.

    Args:
        faces: where its faces lie, if not in the run itself: the trials of a search share theirs.
    """

    def __init__(self, recipe: Recipe, *, faces: str | None = None) -> None:
        self.recipe = recipe
        self.work_dir = storage.absolute(recipe.work_dir)
        self.root = storage.join(self.work_dir, recipe.name)
        self.recipe_file = storage.join(self.root, "recipe.yaml")
        self.clips = storage.join(self.root, "clips")
        self.manifest = storage.join(self.root, "manifest.parquet")
        self.faces = faces or storage.join(self.root, "faces")
        self.not_finite = storage.join(self.root, "not_finite")
        self.model = storage.join(self.root, "model")
        self.evaluation = storage.join(self.root, "evaluation")
        self.scores = storage.join(self.evaluation, "scores.parquet")
        self.metrics = storage.join(self.evaluation, "metrics.json")
        self.report = storage.join(self.evaluation, "report.html")
        self._state = storage.join(self.root, "state.json")

    def claim(self) -> None:
        """Bind the folder to the recipe, or make sure that it is bound to the same.

        Ray Train resumes whatever it finds under a name; this keeps it from resuming another's.

        Raises:
            UserError: the name was used with another recipe; what differs is named.
        """
        if not storage.exists(self.recipe_file):
            storage.write_bytes(dump_recipe(self.recipe).encode(), self.recipe_file)
            return
        there = self._begun_with()
        if there.fingerprint() != self.recipe.fingerprint():
            told = ", ".join(differences(there.content(), self.recipe.content()))
            raise UserError(
                f"{self.root} belongs to another recipe of the name {self.recipe.name}: {told}.",
                f"Give this one a name of its own (name=...), or remove {self.root}.",
            )

    def claim_to_measure(self) -> Recipe:
        """As `claim`, but evaluation may differ: a model that is trained can be measured in many ways.

        Returns:
            The recipe that the run was begun with.

        Raises:
            UserError: as `claim`.
        """
        begun = self.recipe
        if storage.exists(self.recipe_file):
            begun = begun.model_copy(update={"evaluation": self._begun_with().evaluation})
        RunFolder(begun).claim()
        return begun

    def share_version(self, model_name: str, version: str, bundle: str | os.PathLike[str]) -> str:
        """Copy a registered version's local bundle where every node can read it; return its URI."""
        uri = storage.join(self.root, "versions", model_name, version)
        storage.put_folder(str(bundle), uri, last="bundle.json")
        return uri

    def state(self) -> dict[str, Any]:
        """What the stages remember: `run_id`, `history`, `logged`, `measured`, `registered`, `version`."""
        there = storage.exists(self._state)
        return json.loads(storage.read_bytes(self._state)) if there else {}

    def remember(self, **values: Any) -> None:
        kept = self.state() | values
        storage.write_bytes(json.dumps(kept, indent=2).encode(), self._state)

    def require(self, relative: str, command: str) -> None:
        """Make sure that an earlier stage has left its result.

        Raises:
            UserError: it has not; the command to run first is named.
        """
        if not storage.exists(storage.join(self.root, relative)):
            raise UserError(
                f"{self.root} has no {relative} yet.",
                f"Run `dfray {command}` with this recipe first.",
            )

    def _begun_with(self) -> Recipe:
        return Recipe.model_validate(yaml.safe_load(storage.read_bytes(self.recipe_file)))


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two contents, as `section.key old -> new`."""
    left, right = dict(flatten(old)), dict(flatten(new))
    return [
        f"{key} {left.get(key)!r} -> {right.get(key)!r}"
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]
