"""The context of one run, made once for each command and handed down to its stages."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.config import Recipe
from dfray.datasets.manifest import fingerprint, read_manifest
from dfray.evaluation.measure import EvaluationSet
from dfray.faces.view import FacesView
from dfray.run_folder import RunFolder
from dfray.session import session

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

    Making one reads and writes nothing; what is read is read once.

    Attributes:
        verbose: show Ray's own output.
    """

    recipe: Recipe
    folder: RunFolder
    verbose: bool = False

    @classmethod
    def of(cls, recipe: Recipe, *, verbose: bool = False) -> RunContext:
        """Return the context of a recipe's run."""
        return cls(recipe, RunFolder(recipe), verbose)

    def session(self) -> AbstractContextManager[None]:
        """Return a context in which Ray is connected, as `dfray.session.session`."""
        return session(self.recipe.cluster, verbose=self.verbose)

    @property
    def has_manifest(self) -> bool:
        """True once the manifest is written."""
        return storage.exists(self.folder.manifest)

    @cached_property
    def manifest(self) -> pa.Table:
        """VIDEOS of the run.

        Raises:
            UserError: the manifest is not yet built.
        """
        self.folder.require("manifest.parquet", "manifest build")
        return read_manifest(self.folder.manifest)

    @cached_property
    def faces(self) -> FacesView:
        """The stored faces of the manifest's videos.

        Raises:
            UserError: the manifest is not yet built.
        """
        return self.faces_of(self.manifest)

    def faces_of(self, videos: pa.Table) -> FacesView:
        """Return the stored faces of VIDEOS."""
        return FacesView(self.folder.faces, videos)

    @cached_property
    def evaluation_set(self) -> EvaluationSet:
        """The faces that models are measured on, with the identity groups that the manifest states.

        Raises:
            UserError: the manifest is not yet built.
        """
        columns = (self.manifest[name].to_pylist() for name in ("video_id", "identity_group"))
        groups = {video: group for video, group in zip(*columns, strict=True) if group}
        return EvaluationSet(self.recipe, self.faces, groups)

    @cached_property
    def tracking_uri(self) -> str:
        """URI of the MLflow tracking server and registry.

        Raises:
            UserError: as `resolve_tracking_uri`.
        """
        from dfray.tracking.client import resolve_tracking_uri

        return resolve_tracking_uri(self.recipe.registry, self.folder.work_dir)

    def tracking_run(self) -> Run:
        """Start the MLflow run of this run's training, or resume it; return it.

        Raises:
            RegistryError, UserError: as `start_run`.
        """
        from dfray.tracking.run import start_run

        state = self.folder.state()
        tracked = start_run(
            self.recipe,
            self.tracking_uri,
            manifest_fingerprint=fingerprint(self.manifest),
            run_id=state.run_id,
        )
        self.folder.update_state(replace(state, run_id=tracked.run_id))
        return tracked

    def extracted(self, videos: pa.Table | None = None) -> ExtractedVideos:
        """Count the videos whose faces are stored.

        Args:
            videos: VIDEOS to count among; default: the run's manifest.
        """
        videos = self.manifest if videos is None else videos
        return ExtractedVideos(self.faces_of(videos).summaries().num_rows, videos.num_rows)
