"""A training of a recipe's length in this process, without Ray, and its scores of the test split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from dfray.batches.augment import Augment
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import Recipe
from dfray.faces.crop_codec import decode_images
from dfray.faces.shard_file import iter_row_groups
from dfray.faces.shards import FacesStore
from dfray.losses.objective import Objective
from dfray.models.backbone import Detector, build_detector
from dfray.models.bundle import fake_probability
from dfray.models.preprocess import Preprocess
from dfray.training.optim import Schedule, build_optimizer
from dfray.training.state import seed_epoch
from dfray.training.step import TrainStep
from dfray.training.validate import validate


def trained(recipe: Recipe, store: FacesStore, summaries: pa.Table, seed: int) -> Detector:
    """The detector after the recipe's epochs: the weights of the lowest validation loss."""

    def reader(split: str) -> FacesReader:
        sample = sample_faces(summaries, split, recipe.batches)
        return FacesReader(store, sample, recipe.batches, seed=seed)

    torch.manual_seed(seed)
    detector, preprocess = build_detector(recipe.model, 2), Preprocess(recipe.model)
    objective, faces = Objective(recipe.objective), reader("train")
    step = TrainStep(
        model=detector,
        augment=Augment(recipe.augment, preprocess),
        objective=objective,
        optimizer=build_optimizer(detector, recipe.training),
        schedule=Schedule.of(recipe.training, faces.steps),
        clip_norm=recipe.training.clip_norm,
    )
    best, weights = np.inf, {}
    for epoch in range(recipe.training.epochs):
        seed_epoch(seed, epoch, 0)
        for number, batch in enumerate(faces.epoch(epoch), epoch * faces.steps):
            step(torch.from_numpy(batch.images), torch.from_numpy(batch.labels), number)
        told = validate(
            detector,
            preprocess,
            objective,
            reader("val"),
            torch.device("cpu"),
            batch_size=recipe.batches.batch_size,
        )
        loss = told["loss"]
        if loss < best:
            best, weights = loss, {k: v.clone() for k, v in detector.state_dict().items()}
    detector.load_state_dict(weights)
    return detector.eval()


@torch.inference_mode()
def video_scores(
    recipe: Recipe,
    store: FacesStore,
    detector: Detector,
    change: Callable[[np.ndarray, list[str]], np.ndarray] = lambda images, videos: images,
) -> pa.Table:
    """video_id, true label and mean fake probability of each test video with a face.

    Args:
        change: of the faces before they are scored, uint8 (N, S, S, 3), with their video ids.
    """
    preprocess = Preprocess(recipe.model)
    scores = defaultdict(list)
    for uri in store.shards("test"):
        for group in iter_row_groups(uri):
            videos = group["video_id"].to_pylist()
            images = change(decode_images(group).copy(), videos)
            logits, _ = detector(preprocess(torch.from_numpy(images)))
            for video, score in zip(videos, fake_probability(logits).tolist(), strict=True):
                scores[video].append(score)
    truth = store.summaries(["test"]).select(["video_id", "label"]).to_pylist()
    rows = [row for row in truth if row["video_id"] in scores]
    means = [{"fake_probability": float(np.mean(scores[row["video_id"]]))} for row in rows]
    return pa.Table.from_pylist([row | mean for row, mean in zip(rows, means, strict=True)])
