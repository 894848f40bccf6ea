"""A tiny detector, faces that can be learned, and a step over both, for the tests of training."""

from functools import partial

import torch

from dfray.batches.augment import Augment
from dfray.config import (
    AugmentSection,
    ModelSection,
    ObjectiveSection,
    TrainingSection,
    TripletSection,
)
from dfray.losses.objective import Objective
from dfray.models.backbone import build_detector
from dfray.models.preprocess import Preprocess
from dfray.models.tuning import svd
from dfray.training.optim import Schedule, build_average, build_optimizer
from dfray.training.step import TrainStep

NO_AUGMENTATION = AugmentSection(flip=0, crop_scale=None, brightness=0, contrast=0)


def faces_and_labels(count, seed=0):
    """Noise, brighter by a third if fake, every other one: uint8 (count, 32, 32, 3), int64."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    faces = torch.randint(0, 170, (count, 32, 32, 3), generator=generator)
    return (faces + 85 * labels[:, None, None, None]).to(torch.uint8), labels


def step_over(
    backbone="test_resnet",
    weight=0.5,
    augment=NO_AUGMENTATION,
    wrap=lambda model: model,
    objective=None,
    ema=None,
    model=None,
    seed=0,
    **options,
):
    """A TrainStep and its detector, built from `seed`; `wrap` is applied to the model.

    `objective` is a section; without one it is cross-entropy and `weight` times the triplet loss. `model` has
    further keys of the network's section.
    """
    torch.manual_seed(seed)
    section = ModelSection(backbone=backbone, size_px=32, **(model or {}))
    training = TrainingSection(lr=1e-3, epochs=5, warmup_epochs=1, ema=ema)
    detector = build_detector(section, 2, identify_frozen=True)
    terms = Objective(
        objective or ObjectiveSection(triplet=TripletSection(weight=weight)),
        embedding_dim=detector.embedding_dim,
        components=partial(svd.penalties, detector),
    )
    optimizer = build_optimizer(detector, training)
    for group in terms.parameter_groups():
        optimizer.add_param_group(group)
    step = TrainStep(
        model=wrap(detector),
        augment=Augment(augment, Preprocess(section)),
        objective=terms,
        optimizer=optimizer,
        schedule=Schedule.of(training, steps_per_epoch=4),
        average=build_average(detector, training),
        head=detector.backbone.get_classifier(),
        **options,
    )
    return step, detector
