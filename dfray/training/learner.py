"""State of a training, built from a recipe: the network, the objective and the optimizer.

Plain torch on one device, used by a Ray Train worker and usable in a notebook.

    learner = Learner(recipe, BINARY)
    step = learner.step(learner.detector)
    step(faces, labels, 0)
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from timm.layers import convert_sync_batchnorm
from torch import nn

from dfray.batches.augment import Augment, mixer
from dfray.batches.labels import LabelScheme
from dfray.batches.reader import FacesReader
from dfray.batches.self_blend import SelfBlend
from dfray.config import Recipe
from dfray.errors import ManifestError
from dfray.faces.version import FACES_VERSION
from dfray.losses.objective import Objective
from dfray.models.backbone import Detector, build_detector
from dfray.models.bundle import Bundle
from dfray.models.network import stated
from dfray.models.preprocess import Preprocess
from dfray.models.tuning import svd
from dfray.training.context import EpochMetrics, History
from dfray.training.finite import require_finite_weights
from dfray.training.optim import Schedule, build_average, build_optimizer
from dfray.training.recomputing import checkpoint_activations, require_no_statistics
from dfray.training.sharding import shard, whole_weights
from dfray.training.state import load_state, save_state
from dfray.training.step import TrainStep, compiled_terms, compute_dtype, compute_terms
from dfray.training.validate import validate


class Learner:
    """A detector in training.

    Args:
        recipe: its model, objective, augmentation and training sections are read.
        classes: of the labels.
        device: of all tensors.
        resuming: the state is going to be loaded, so the model's weights are not fetched if all are trained.
        sync_statistics: take the statistics of BatchNorm over all workers (GPUs only).
        sharded: hold a part of the network on each worker of torch.distributed's group (FSDP2).
        faces_version: of the store that it learns from.

    Attributes:
        detector: the network in training.
        validated: the network that is validated and saved: the moving average of the weights, if there
            is one.

    Raises:
        RecipeError: the network cannot be built.
        ModelFileError: its weights cannot be loaded.
    """

    def __init__(
        self,
        recipe: Recipe,
        classes: LabelScheme,
        device: torch.device | str = "cpu",
        *,
        resuming: bool = False,
        sync_statistics: bool = False,
        sharded: bool = False,
        faces_version: int = FACES_VERSION,
    ) -> None:
        recipe = recipe.model_copy(update={"model": stated(recipe.model)})
        self.recipe, self.classes, self.device = recipe, classes, torch.device(device)
        self.faces_version = faces_version
        section, num_classes = recipe.model, len(classes.class_names)
        torch.manual_seed(recipe.seed)
        if resuming and section.tuning == "full":
            section = section.without_weights()
        built = build_detector(section, num_classes, identify_frozen=True)
        require_no_statistics(built, recipe)
        self.detector: Detector = built.to(self.device)
        if recipe.training.activation_checkpointing:
            checkpoint_activations(self.detector, section.backbone)
        if sync_statistics:
            self.detector = convert_sync_batchnorm(self.detector)
        self.preprocess = Preprocess(section).to(self.device)
        self.objective = Objective(
            recipe.objective,
            num_classes=num_classes,
            embedding_dim=self.detector.embedding_dim,
            accumulate=recipe.training.accumulate,
            components=partial(svd.penalties, self.detector),
        ).to(self.device)
        self.average = build_average(self.detector, recipe.training)
        if sharded:
            for network in (self.detector, self.average.module if self.average else None):
                if network is not None:
                    shard(network)
        self.optimizer = build_optimizer(self.detector, recipe.training)
        for group in self.objective.parameter_groups():
            self.optimizer.add_param_group(group)
        self.validated: Detector = self.average.module if self.average else self.detector
        blend = recipe.batches.self_blend
        self.blend = SelfBlend(blend) if blend else None
        self.dtype = compute_dtype(recipe.training.precision, self.device)

    @property
    def has_statistics(self) -> bool:
        """True if the network has BatchNorm, whose statistics are of one worker's faces."""
        batch_norm = nn.modules.batchnorm._BatchNorm
        return any(isinstance(module, batch_norm) for module in self.detector.modules())

    def step(self, model: nn.Module) -> TrainStep:
        """Return the training step.

        Args:
            model: the detector, or its wrapper by DistributedDataParallel.
        """
        compiles = self.recipe.training.compile
        return TrainStep(
            model=model,
            augment=Augment(self.recipe.augment, self.preprocess),
            objective=self.objective,
            optimizer=self.optimizer,
            schedule=Schedule.of(self.recipe.training, 1),
            clip_norm=self.recipe.training.clip_norm,
            head=self.detector.backbone.get_classifier(),
            blend=self.blend,
            mix=mixer(self.recipe.augment, len(self.classes.class_names)),
            accumulate=self.recipe.training.accumulate,
            average=self.average,
            dtype=self.dtype,
            terms=compiled_terms(self.device) if compiles else compute_terms,
        )

    def validate(self, reader: FacesReader) -> EpochMetrics:
        """Return the objective's terms over the faces of `reader`, and `selection_loss`."""
        with whole_weights(self.validated):
            metrics = validate(
                self.validated,
                self.preprocess,
                self.objective,
                reader,
                self.device,
                self.blend,
                batch_size=self.recipe.batches.batch_size // self.recipe.training.accumulate,
                dtype=self.dtype,
            )
        return {f"val_{name}": value for name, value in metrics.items()} | {
            "selection_loss": self._selection_loss(metrics)
        }

    def _selection_loss(self, metrics: dict[str, float]) -> float:
        """Return what the epoch is selected by; the lowest is kept.

        Raises:
            ManifestError: no dataset of validation has both classes.
        """
        selection = self.recipe.training.selection
        if selection == "objective":
            return metrics["loss"]
        if selection == "cross_entropy":
            return metrics["cross_entropy"]
        if selection not in metrics:
            raise ManifestError(
                f"training.selection {selection}: no dataset of split val has real and fake videos with "
                "faces.",
                "Give the real and fake videos of one source the same corpora.N.dataset.",
            )
        return 1 - metrics[selection]

    def save(self, folder: Path | None, history: History) -> None:
        """Write the state that an exact resume needs, and the model is made of, into the local `folder`.

        All workers of a sharded training must call it; None: the tensors of this one go to the others.

        Raises:
            TrainingError: weights are not finite; nothing is written.
        """
        for network in {self.detector, self.validated}:
            require_finite_weights(network)
        save_state(
            folder and folder / "state.pt",
            self.detector,
            self.optimizer,
            {"history": history},
            self.objective,
            self.average and self.average.module,
        )

    def load(self, folder: Path) -> History:
        """Restore the state that `save` wrote into `folder`, and return the history.

        Raises:
            ModelFileError: the state is damaged, or of another network.
        """
        progress = load_state(
            folder / "state.pt",
            self.detector,
            self.optimizer,
            self.objective,
            self.average and self.average.module,
        )
        history: History = progress["history"]
        return history

    def bundle(self) -> Bundle:
        """Return the validated network as it is saved and served."""
        return Bundle(
            detector=self.validated,
            preprocess=self.preprocess,
            recipe=self.recipe.model_dump(mode="json"),
            class_names=self.classes.class_names,
            threshold=self.recipe.evaluation.fixed_threshold,
            faces=self.recipe.faces.model_dump(mode="json"),
            faces_version=self.faces_version,
        )
