"""Run folder layout and ownership: <work_dir>/<name>.

recipe.yaml        the resolved recipe, defaults included
clips/             the demo's generated videos
manifest.parquet   VIDEOS
faces/             FACES, OUTCOMES and SUMMARIES in shards
train/             Ray Train's checkpoints
not_finite/        batches whose loss was not finite, one .npz for each step and worker
model/             the bundle of the best epoch
evaluation/        scores.parquet, metrics.json, metrics.md, report.html, and tables of protocols
versions/          bundles of registered models that were measured here
search/            the trials of a search, each a run folder, and the search's result
state.json         RunState
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from dfray import storage
from dfray.config import Recipe
from dfray.errors import UserError
from dfray.nested import flatten
from dfray.recipe import dump_recipe


@dataclass(frozen=True)
class RunState:
    """Progress of a run's stages.

    Attributes:
        run_id: of the training's MLflow run.
        history: metrics of every epoch, once the last one has ended.
        logged: MLflow has every epoch.
        measured: the decision rule of the last evaluation, as `DecisionRule.stored` gives it.
        registered: the decision rule of the registered version.
        version: the registered version's number.
    """

    run_id: str | None = None
    history: list[dict[str, float]] | None = None
    logged: bool = False
    measured: dict[str, Any] | None = None
    registered: dict[str, Any] | None = None
    version: str | None = None

    def to_json(self) -> bytes:
        """Return the values that are set, as JSON."""
        values = {name: value for name, value in asdict(self).items() if value not in (None, False)}
        return json.dumps(values, indent=2).encode()


class RunFolder:
    """URIs of one run's files; making one reads and writes nothing.

    Args:
        faces, manifest: URIs outside the run; the trials of a search share one store and one manifest.
    """

    def __init__(
        self, recipe: Recipe, *, faces: str | None = None, manifest: str | None = None
    ) -> None:
        self.recipe = recipe
        self.work_dir = storage.absolute(recipe.work_dir)
        self.root = storage.join(self.work_dir, recipe.name)
        self.recipe_file = storage.join(self.root, "recipe.yaml")
        self.clips = storage.join(self.root, "clips")
        self.manifest = manifest or storage.join(self.root, "manifest.parquet")
        self.faces = faces or storage.join(self.root, "faces")
        self.not_finite = storage.join(self.root, "not_finite")
        self.model = storage.join(self.root, "model")
        self.evaluation = storage.join(self.root, "evaluation")
        self.scores = storage.join(self.evaluation, "scores.parquet")
        self.metrics = storage.join(self.evaluation, "metrics.json")
        self.report = storage.join(self.evaluation, "report.html")
        self._state = storage.join(self.root, "state.json")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.root)

    def claim(self) -> None:
        """Bind the folder to the recipe, or check that it is bound to the same one.

        Ray Train resumes any checkpoint under the run's name; this keeps it from another recipe's.

        Raises:
            UserError: the name was used with another recipe; the message lists the differences.
        """
        if not storage.exists(self.recipe_file):
            storage.write_bytes(dump_recipe(self.recipe).encode(), self.recipe_file)
        else:
            self._require_same(self.recipe)

    def claim_to_measure(self) -> Recipe:
        """Claim the folder for a recipe whose evaluation section may differ.

        Returns:
            The recipe that the run was created with.

        Raises:
            UserError: as `claim`.
        """
        recipe = self.recipe
        if storage.exists(self.recipe_file):
            recipe = recipe.model_copy(update={"evaluation": self._stored_recipe().evaluation})
            self._require_same(recipe)
        else:
            self.claim()
        return recipe

    def share_version(self, model_name: str, version: str, bundle: str | os.PathLike[str]) -> str:
        """Copy a registered version's local bundle where every node can read it; return its URI."""
        uri = storage.join(self.root, "versions", model_name, version)
        storage.put_folder(str(bundle), uri, last="bundle.json")
        return uri

    def state(self) -> RunState:
        """Read the progress of the run's stages."""
        if not storage.exists(self._state):
            return RunState()
        return RunState(**json.loads(storage.read_bytes(self._state)))

    def update_state(self, state: RunState) -> None:
        """Write the progress of the run's stages."""
        storage.write_bytes(state.to_json(), self._state)

    def require(self, relative: str, command: str) -> None:
        """Check that an earlier stage's result exists.

        Raises:
            UserError: it does not; the hint names the command to run first.
        """
        if not storage.exists(storage.join(self.root, relative)):
            raise UserError(
                f"{self.root} has no {relative} yet.",
                f"Run `dfray {command}` with this recipe first.",
            )

    def _require_same(self, recipe: Recipe) -> None:
        stored = self._stored_recipe()
        if stored.fingerprint() != recipe.fingerprint():
            changes = ", ".join(differences(stored.content(), recipe.content()))
            raise UserError(
                f"{self.root} belongs to another recipe of the name {recipe.name}: {changes}.",
                f"Give this recipe another name (name=...), or remove {self.root}.",
            )

    def _stored_recipe(self) -> Recipe:
        return Recipe.model_validate(yaml.safe_load(storage.read_bytes(self.recipe_file)))


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the differences between two recipes' contents, as `section.key old -> new`."""
    left, right = dict(flatten(old)), dict(flatten(new))
    return [
        f"{key} {left.get(key)!r} -> {right.get(key)!r}"
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]
