"""Everything that training changes, built from a recipe: the network, the objective and the optimizer.

Plain torch on one device: a Ray Train worker has one, and so may a notebook.

    learner = Learner(recipe, BINARY)
    step = learner.step(learner.detector)
    step(faces, labels, 0)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from timm.layers import convert_sync_batchnorm
from torch import nn

from dfray.batches.augment import Augment, mixer
from dfray.batches.labels import LabelScheme
from dfray.batches.reader import FacesReader
from dfray.batches.self_blend import SelfBlend
from dfray.config import Recipe
from dfray.losses.objective import Objective
from dfray.models.backbone import Detector, build_detector
from dfray.models.bundle import Bundle
from dfray.models.preprocess import Preprocess
from dfray.training.optim import Schedule, build_average, build_optimizer
from dfray.training.state import load_state, save_state
from dfray.training.step import TrainStep, compute_dtype
from dfray.training.validate import validate


class Learner:
    """A detector in training.

    Args:
        recipe: its model, objective, augmentation and training sections are read.
        classes: what the labels count.
        device: where all of it lies.
        resuming: the state is going to be loaded, so the model's weights are not fetched.
        sync_statistics: take the statistics of BatchNorm over all workers (GPUs only).

    Attributes:
        detector: what is trained.
        judged: what is validated and kept: the moving average of the weights, if there is one.

    Raises:
        RecipeError: the network cannot be built as asked.
        ModelFileError: its weights cannot be had.
    """

    def __init__(
        self,
        recipe: Recipe,
        classes: LabelScheme,
        device: torch.device | str = "cpu",
        *,
        resuming: bool = False,
        sync_statistics: bool = False,
    ) -> None:
        self.recipe, self.classes, self.device = recipe, classes, torch.device(device)
        section, num_classes = recipe.model, len(classes.class_names)
        torch.manual_seed(recipe.seed)
        built = build_detector(section.without_weights() if resuming else section, num_classes)
        self.detector: Detector = built.to(self.device)
        if sync_statistics:
            self.detector = convert_sync_batchnorm(self.detector)
        self.preprocess = Preprocess(section).to(self.device)
        self.objective = Objective(
            recipe.objective,
            num_classes=num_classes,
            embedding_dim=self.detector.embedding_dim,
            accumulate=recipe.training.accumulate,
        ).to(self.device)
        self.optimizer = build_optimizer(self.detector, recipe.training)
        for group in self.objective.parameter_groups():
            self.optimizer.add_param_group(group)
        self.average = build_average(self.detector, recipe.training)
        self.judged: Detector = self.average.module if self.average else self.detector
        blend = recipe.batches.self_blend
        self.blend = SelfBlend(blend) if blend else None
        self.dtype = compute_dtype(recipe.training.precision, self.device)

    @property
    def has_statistics(self) -> bool:
        """Whether the network has BatchNorm, whose statistics are of one worker's faces."""
        batch_norm = nn.modules.batchnorm._BatchNorm
        return any(isinstance(module, batch_norm) for module in self.detector.modules())

    def step(self, model: nn.Module) -> TrainStep:
        """What takes one step after the other.

        Args:
            model: the detector, or its wrapper by DistributedDataParallel or torch.compile.
        """
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
        )

    def validate(self, reader: FacesReader) -> dict[str, float]:
        """The objective's terms over the faces of `reader`, `selection_loss` among them."""
        figures = validate(
            self.judged,
            self.preprocess,
            self.objective,
            reader,
            self.device,
            self.blend,
            batch_size=self.recipe.batches.batch_size // self.recipe.training.accumulate,
            dtype=self.dtype,
        )
        selected = "loss" if self.recipe.training.selection == "objective" else "cross_entropy"
        return {f"val_{name}": value for name, value in figures.items()} | {
            "selection_loss": figures[selected]
        }

    def save(self, folder: Path, history: list[dict[str, float]]) -> None:
        """Write the bundle, and the state that an exact resume needs, into the local `folder`."""
        self.bundle().save(folder / "bundle")
        save_state(
            folder / "state.pt",
            self.detector,
            self.optimizer,
            {"history": history},
            self.objective,
            self.average and self.average.module,
        )

    def load(self, folder: Path) -> list[dict[str, float]]:
        """Go on from what `save` wrote into `folder`; returns the history.

        Raises:
            ModelFileError: the state is damaged, or of another network.
        """
        progress: dict[str, Any] = load_state(
            folder / "state.pt",
            self.detector,
            self.optimizer,
            self.objective,
            self.average and self.average.module,
        )
        return progress["history"]

    def bundle(self) -> Bundle:
        return Bundle(
            detector=self.judged,
            preprocess=self.preprocess,
            recipe=self.recipe.model_dump(mode="json"),
            class_names=self.classes.class_names,
            threshold=self.recipe.evaluation.fixed_threshold,
            faces=self.recipe.faces.model_dump(mode="json"),
        )
