"""Input of a run's workers; in its own module, as Ray Train's controller imports it and needs no timm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfray.config import Recipe
from dfray.faces.view import FacesView
from dfray.run_folder import RunFolder

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from dfray.training.context import EpochRecord

CheckFaces = Callable[[FacesView], None]
"""Looks at stored faces, and raises a DfrayError if they must not be trained on."""


@dataclass(frozen=True)
class WorkerConfig:
    """Input of every worker of a run; made by the driver, pickled to the workers.

    Attributes:
        recipe: `work_dir` absolute, the model's weights, mean and std resolved.
        class_names: of the labels, the first is real.
        folder: of the run; it names the store of faces and the manifest.
        stream_steps: steps of the first epoch if the extraction feeds it; None: all faces are written.
        check_streamed: raises if the faces that the stream has stored must not be trained on further.
        progress: actor for TrainingStatus, if any.
        record: receiver of each epoch's model, if any.
    """

    recipe: Recipe
    class_names: tuple[str, ...]
    folder: RunFolder
    stream_steps: int | None = None
    check_streamed: CheckFaces | None = None
    progress: ActorHandle | None = None
    record: EpochRecord | None = None

    def open_faces(self) -> FacesView:
        """Return the stored faces of the manifest's videos."""
        return FacesView.of_manifest(self.folder.faces, self.folder.manifest)
