"""The context of one run, made once for each command and handed down to its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.command_log import log_to
from dfray.config import Recipe
from dfray.datasets.attributes import attributes_of
from dfray.datasets.manifest import Manifest, fingerprint, read_manifest, write_manifest
from dfray.dependencies import Dependencies, of_faces, of_training
from dfray.errors import UserError
from dfray.evaluation.measure import EvaluationSet
from dfray.faces.turn import Turn, extraction_turn
from dfray.faces.view import FacesView
from dfray.run_folder import RunFolder, RunsOfName
from dfray.session import session
from dfray.text import mask

if TYPE_CHECKING:
    from dfray.tracking.run import Run


@dataclass(frozen=True)
class ExtractedVideos:
    """Number of a manifest's videos whose faces are stored, of the total."""

    done: int
    total: int

    @property
    def missing(self) -> int:
        """Number of videos still to extract."""
        return self.total - self.done

    @property
    def note(self) -> str:
        """Sentence for the progress line."""
        return f"{self.done:,} of {self.total:,} videos are done and are not extracted again"


@dataclass(frozen=True)
class RunContext:
    """Recipe, folder, faces, manifest, evaluation set and tracking server of one run.

    Making one reads and writes nothing; what is read is read once. The folder's name is the key of what the
    training depends on, so it needs the manifest.

    Attributes:
        runs: all runs of the recipe's name.
        verbose: show Ray's own output.
    """

    recipe: Recipe
    runs: RunsOfName
    verbose: bool = False

    @classmethod
    def of(cls, recipe: Recipe, *, verbose: bool = False) -> RunContext:
        """Return the context of a recipe's run."""
        return cls(recipe, RunsOfName(recipe.work_dir, recipe.name), verbose)

    def session(self) -> AbstractContextManager[None]:
        """Return a context in which Ray is connected, as `dfray.session.session`."""
        return session(self.recipe.cluster, verbose=self.verbose)

    @property
    def has_manifest(self) -> bool:
        """True once the manifest is written."""
        return storage.exists(self.runs.manifest)

    @property
    def is_listed(self) -> bool:
        """True if the run's videos are known: the corpora were looked at, now or by an earlier command."""
        return "manifest" in vars(self) or self.has_manifest

    @cached_property
    def manifest(self) -> pa.Table:
        """VIDEOS of the run, as the corpora were when a command last looked at them.

        Raises:
            UserError: the manifest is not yet built.
        """
        if not self.has_manifest:
            raise UserError(
                f"{self.runs.root} has no manifest.parquet yet.",
                "Run `dfray manifest build` with this recipe first.",
            )
        return read_manifest(self.runs.manifest)

    def look_at(self, videos: pa.Table) -> None:
        """Make VIDEOS the run's manifest from now on; nothing is written."""
        for name in ("dependencies", "folder", "faces", "evaluation_set"):
            vars(self).pop(name, None)
        vars(self)["manifest"] = videos

    @cached_property
    def dependencies(self) -> Dependencies:
        """Dependencies of the run's training."""
        return of_training(self.recipe, self.manifest)

    @cached_property
    def folder(self) -> RunFolder:
        """The run's folder.

        Raises:
            UserError: the manifest is not yet built.
        """
        return self.runs.folder(self.recipe, self.dependencies.key, of_faces(self.recipe).key)

    def claim(self) -> None:
        """Begin the run's folder, or go on with it, and make it the latest of its name, without a lock.

        Raises:
            UserError: the folder is of an earlier dfray.
        """
        self.runs.require_keyed(self.folder.faces)
        self.folder.claim(self.dependencies.values)
        self.runs.point_to(self.folder)
        write_manifest(Manifest(self.manifest), self.folder.manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run's folder against other commands in the block, as `storage.locked`, and log there."""
        with storage.locked(self.folder.root, self.folder.run_name):
            log_to(self.folder.root)
            yield

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Claim the run's folder, and lock it in the block.

        Raises:
            UserError: as `claim`.
            LockedError, StorageError: as `storage.locked`.
        """
        self.runs.require_keyed(self.folder.faces)
        with self.locked():
            self.claim()
            yield

    def extraction_turn(self) -> AbstractContextManager[Turn]:
        """Return a context in which no other command extracts into the store, as `extraction_turn`."""

        def count_done() -> tuple[int, int]:
            extracted = self.extracted()
            return extracted.done, extracted.total

        return extraction_turn(self.folder.faces, self.folder.run_name, count_done)

    @cached_property
    def faces(self) -> FacesView:
        """The stored faces of the manifest's videos.

        Raises:
            UserError: the manifest is not yet built.
        """
        return self.faces_of(self.manifest)

    def faces_of(self, videos: pa.Table) -> FacesView:
        """Return the stored faces of VIDEOS."""
        return FacesView(self.runs.faces(of_faces(self.recipe).key), videos)

    @cached_property
    def evaluation_set(self) -> EvaluationSet:
        """The faces that models are measured on, with the attributes that the manifest states.

        Raises:
            UserError: the manifest is not yet built.
        """
        return EvaluationSet(self.recipe, self.faces, attributes_of(self.manifest))

    @cached_property
    def tracking_uri(self) -> str:
        """URI of the MLflow tracking server and registry.

        Raises:
            UserError: as `resolve_tracking_uri`.
        """
        from dfray.tracking.client import resolve_tracking_uri

        return resolve_tracking_uri(self.recipe.registry, self.runs.work_dir)

    @property
    def tracking_place(self) -> str:
        """The tracking URI as it is recorded: without a password."""
        return mask(self.tracking_uri)

    def tracking_run(self) -> Run:
        """Start the MLflow run of this run's training, or resume it; return it.

        Runs of the experiment that killed processes left open are ended.

        Raises:
            RegistryError, UserError: as `start_run`.
        """
        from dfray.tracking.abandoned import end_abandoned_runs
        from dfray.tracking.run import start_run

        end_abandoned_runs(self.tracking_uri, self.recipe.registry.experiment)
        state = self.folder.state()
        tracked = start_run(
            self.folder.stored_recipe(),
            self.tracking_uri,
            manifest_fingerprint=fingerprint(self.manifest),
            folder=self.folder.root,
            run_id=state.run_id if state.tracking_uri == self.tracking_place else None,
            videos=self.manifest,
        )
        state = replace(state, run_id=tracked.run_id, tracking_uri=self.tracking_place)
        self.folder.update_state(state)
        return tracked

    def extracted(self, videos: pa.Table | None = None) -> ExtractedVideos:
        """Count the videos whose faces are stored.

        Args:
            videos: VIDEOS to count among; default: the run's manifest.
        """
        videos = self.manifest if videos is None else videos
        return ExtractedVideos(self.faces_of(videos).summaries().num_rows, videos.num_rows)

    def require_model(self) -> None:
        """Check that the run's model is trained.

        Raises:
            UserError: it is not; the message has what differs from the latest run of this name.
        """
        if not self.has_manifest:
            raise UserError(
                f"{self.runs.root} has no model/bundle.json yet.",
                "Run `dfray train` with this recipe first.",
            )
        changes = self.changes_since_latest()
        self.folder.require("model/bundle.json", "train", "; ".join(changes))

    def changes_since_latest(self) -> list[str]:
        """Return what the training depends on that differs from the latest run of this name."""
        latest = self.runs.latest()
        if latest in (None, self.dependencies.key) or latest not in self.runs.run_keys():
            return []
        folder = RunFolder(self.recipe, root=storage.join(self.runs.root, str(latest)))
        return self.dependencies.changes(folder.record()["dependencies"])
