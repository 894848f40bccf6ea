"""Folders of runs.

<work_dir>/
  faces/<key>/           faces that all recipes with these settings share, a store
  clips/<key>/           the demo's generated videos
  <name>/                all runs of a recipe's name:
    manifest.parquet     VIDEOS, as the corpora were when a command last looked at them
    latest               key of the run that a command last used, and the path of its report
    search/              the trials of a search, each a run folder, and the search's result
    <key>/               one run; the key is that of all that its training depends on:
      recipe.yaml        the resolved recipe that it was trained by, defaults included
      run.json           when it began, and what its training depends on
      manifest.parquet   VIDEOS that it last worked on
      train/             Ray Train's checkpoints, until the training has ended
      not_finite/        batches whose loss was not finite, one .npz for each step and worker
      model/             the bundle of the best epoch
      evaluation/        scores.parquet, metrics.json, metrics.md, report.html, tables of protocols,
                         and score.html, the page of one clip that the champion has scored
      audit/             audit.json and audit.html
      versions/          bundles of registered models while they are measured
      state.json         RunState
      log.txt            what commands printed, and tracebacks of their errors
      lock               the command that writes to the run, as stores of faces and searches have it, too
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from dfray import storage
from dfray.config import Recipe
from dfray.documents import read_json, read_yaml, validated
from dfray.errors import UserError
from dfray.recipe import dump_recipe

SHARED_FOLDERS = ("faces", "clips")
"""Folders of a work_dir that belong to no name."""
_KEY = re.compile(r"[0-9a-f]{12}")
_HINT = (
    "dfray writes this file. If it was edited, change it back; if it is damaged, move its folder away, and "
    "what it holds is made anew."
)
T = TypeVar("T")


@dataclass(frozen=True)
class _Record:
    """Content of run.json."""

    began: str
    dependencies: dict[str, Any]


@dataclass(frozen=True)
class _Pointer:
    """Content of `latest`, as far as it is read."""

    run: str


@dataclass(frozen=True)
class RunState:
    """Progress of a run's stages.

    Attributes:
        run_id, tracking_uri: of the training's MLflow run, and its server, without a password.
        history: metrics of every epoch, once the last one has ended.
        reused: the run whose finished training this one has, as NAME/KEY.
        logged: MLflow has every epoch.
        measured: the decision rule of the last evaluation, as `DecisionRule.stored` gives it.
        figures: what the last evaluation depends on beside the training.
        registered: what the registered version depends on beside the training.
        version: the registered version's number.
        decided: what the last decision about that version depends on beside the training.
        promoted: that decision.
    """

    run_id: str | None = None
    tracking_uri: str | None = None
    history: list[dict[str, float]] | None = None
    reused: str | None = None
    logged: bool = False
    measured: dict[str, Any] | None = None
    figures: dict[str, Any] | None = None
    registered: dict[str, Any] | None = None
    version: str | None = None
    decided: dict[str, Any] | None = None
    promoted: bool = False

    def to_json(self) -> bytes:
        """Return the values that are set, as JSON."""
        values = {name: value for name, value in asdict(self).items() if value not in (None, False)}
        return json.dumps(values, indent=2).encode()


class RunFolder:
    """URIs of one run's files; making one reads and writes nothing.

    Args:
        root: default: <work_dir>/<name>, as for a trial of a search.
        faces, manifest: URIs outside the run; the trials of a search share one store and one manifest.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        root: str | None = None,
        faces: str | None = None,
        manifest: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.work_dir = storage.absolute(recipe.work_dir)
        self.root = root or storage.join(self.work_dir, recipe.name)
        self.recipe_file = storage.join(self.root, "recipe.yaml")
        self.manifest = manifest or storage.join(self.root, "manifest.parquet")
        self.faces = faces or storage.join(self.root, "faces")
        self.checkpoints = storage.join(self.root, "train")
        self.not_finite = storage.join(self.root, "not_finite")
        self.model = storage.join(self.root, "model")
        self.evaluation = storage.join(self.root, "evaluation")
        self.scores = storage.join(self.evaluation, "scores.parquet")
        self.metrics = storage.join(self.evaluation, "metrics.json")
        self.report = storage.join(self.evaluation, "report.html")
        self.score_page = storage.join(self.evaluation, "score.html")
        self.audit = storage.join(self.root, "audit")
        self._state = storage.join(self.root, "state.json")
        self._record = storage.join(self.root, "run.json")

    def __eq__(self, value: object) -> bool:
        return isinstance(value, RunFolder) and vars(self) == vars(value)

    def __hash__(self) -> int:
        return hash(self.root)

    @property
    def run_name(self) -> str:
        """NAME/KEY of the run."""
        return "/".join(self.root.split("/")[-2:])

    @classmethod
    def at(cls, root: str) -> Self:
        """Return the folder of a run that was claimed, by the recipe that it keeps.

        Raises:
            StorageError: it keeps none.
        """
        return cls(stored_recipe(storage.join(root, "recipe.yaml")), root=root)

    def claim(self, dependencies: Mapping[str, Any] | None = None) -> None:
        """Write the recipe and what the training depends on, unless an earlier command did."""
        if not storage.exists(self.recipe_file):
            began = datetime.now(UTC).isoformat(timespec="milliseconds")
            record = {"began": began, "dependencies": dict(dependencies or {})}
            storage.write_bytes(json.dumps(record, indent=2).encode(), self._record)
            storage.write_bytes(dump_recipe(self.recipe).encode(), self.recipe_file)

    def stored_recipe(self) -> Recipe:
        """Return the recipe that the run was created with."""
        return stored_recipe(self.recipe_file)

    def record(self) -> dict[str, Any]:
        """Return when the run began, and the dependencies of its training."""
        return asdict(_stored(_Record, self._record))

    def share_version(self, model_name: str, version: str, bundle: str | os.PathLike[str]) -> str:
        """Copy a registered version's local bundle where every node can read it; return its URI."""
        uri = storage.join(self.root, "versions", model_name, version)
        storage.put_folder(str(bundle), uri, last="bundle.json")
        return uri

    def state(self) -> RunState:
        """Read the progress of the run's stages."""
        if not storage.exists(self._state):
            return RunState()
        return _stored(RunState, self._state)

    def update_state(self, state: RunState) -> None:
        """Write the progress of the run's stages."""
        storage.write_bytes(state.to_json(), self._state)

    def require(self, relative: str, command: str, reason: str = "") -> None:
        """Check that an earlier stage's result exists.

        Args:
            reason: why it may be missing, for the message.

        Raises:
            UserError: it does not; the hint names the command to run first.
        """
        if not storage.exists(storage.join(self.root, relative)):
            because = f" ({reason})" if reason else ""
            raise UserError(
                f"{self.root} has no {relative} yet{because}.",
                f"Run `dfray {command}` with this recipe first.",
            )


def stored_recipe(uri: str) -> Recipe:
    """Return the resolved recipe that a command kept.

    Raises:
        UserError: it was edited to be no recipe, or is damaged.
        StorageError: it cannot be read.
    """
    return validated(Recipe, read_yaml(uri).value, uri, hint=_HINT)


def _stored(kind: type[T], uri: str) -> T:
    """Return the content of a JSON file of a run."""
    return validated(kind, read_json(uri, hint=_HINT, with_nan=True), uri, hint=_HINT)


class RunsOfName:
    """All runs of one recipe's name; making one reads and writes nothing."""

    def __init__(self, work_dir: str, name: str) -> None:
        self.work_dir, self.name = storage.absolute(work_dir), name
        self.root = storage.join(self.work_dir, name)
        self.manifest = storage.join(self.root, "manifest.parquet")
        self._latest = storage.join(self.root, "latest")

    def folder(self, recipe: Recipe, key: str, faces_key: str) -> RunFolder:
        """Return the folder of the run with this key."""
        return RunFolder(recipe, root=storage.join(self.root, key), faces=self.faces(faces_key))

    def faces(self, key: str) -> str:
        """Return the URI of the store of faces with this key."""
        return storage.join(self.work_dir, "faces", key)

    def run_keys(self) -> list[str]:
        """Return the keys of the runs."""
        return keyed_folders(self.root)

    def latest(self) -> str | None:
        """Return the key of the run that a command last used; None: there is none."""
        if not storage.exists(self._latest):
            return None
        return _stored(_Pointer, self._latest).run

    def point_to(self, folder: RunFolder) -> None:
        """Make a run the latest."""
        pointer = {"run": folder.root.rpartition("/")[2], "report": folder.report}
        data = (json.dumps(pointer, indent=2) + "\n").encode()
        if not storage.exists(self._latest) or storage.read_bytes(self._latest) != data:
            storage.write_bytes(data, self._latest)

    def require_keyed(self, faces_uri: str) -> None:
        """Refuse a folder of the time when a name had one run, with its faces in it.

        Args:
            faces_uri: store of the recipe's faces.

        Raises:
            UserError: the hint says how to keep those faces.
        """
        if storage.exists(storage.join(self.root, "recipe.yaml")):
            raise UserError(
                f"{self.root} was made by an earlier dfray, which kept one run there, with its faces.",
                f"To keep the faces, if they were taken by this recipe's settings, move {self.root}/faces to "
                f"{faces_uri}; then move {self.root} away, or name another run (name=...).",
            )


def keyed_folders(uri: str) -> list[str]:
    """Return the names of the folders below `uri` that are keys of dependencies; others are not dfray's."""
    return [name for name in storage.list_folders(uri) if _KEY.fullmatch(name)]


def names_of_runs(work_dir: str) -> list[str]:
    """Return the names that have runs in a work_dir."""
    names = storage.list_folders(storage.absolute(work_dir))
    candidates = [name for name in names if name not in SHARED_FOLDERS]
    return [name for name in candidates if RunsOfName(work_dir, name).run_keys()]
