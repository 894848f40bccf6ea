"""The demo's detector learns the forgery: with labels that do not tell it, it learns nothing that holds.

Four trainings of the demo's length, in one process without Ray: one on the true labels, three on labels
permuted among the videos of each identity, in training and validation alike. Each identity keeps as many
"fakes" as it has, so neither a person nor the balance can give a label away. All are tested on the true
labels of people that none has seen.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score

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

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(3000)]
CONTROLS = 3


def permuted_by_identity(summaries: pa.Table, seed: int) -> pa.Table:
    """SUMMARIES with labels permuted among the videos of each identity."""
    rng = np.random.default_rng(seed)
    identity = np.asarray(summaries["identity"].to_pylist())
    label = summaries["label"].to_numpy().copy()
    for person in np.unique(identity):
        own = np.flatnonzero(identity == person)
        label[own] = rng.permutation(label[own])
    place = summaries.schema.get_field_index("label")
    return summaries.set_column(
        place, summaries.schema.field(place), pa.array(label, summaries.schema.field(place).type)
    )


def trained(recipe: Recipe, store: FacesStore, summaries: pa.Table, seed: int) -> Detector:
    """The demo's detector after the demo's epochs; the weights of the best of them."""

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
def auc_on_unseen(recipe: Recipe, store: FacesStore, detector: Detector) -> float:
    """Video-level AUC on the true labels of the test split."""
    preprocess = Preprocess(recipe.model)
    scores = defaultdict(list)
    for uri in store.shards("test"):
        for group in iter_row_groups(uri):
            logits, _ = detector(preprocess(torch.from_numpy(decode_images(group).copy())))
            for video, score in zip(
                group["video_id"].to_pylist(), fake_probability(logits).tolist(), strict=True
            ):
                scores[video].append(score)
    truth = store.summaries(["test"]).select(["video_id", "label"]).to_pylist()
    seen = [row for row in truth if row["video_id"] in scores]
    assert len(seen) >= 60
    return float(
        roc_auc_score(
            [row["label"] for row in seen], [np.mean(scores[row["video_id"]]) for row in seen]
        )
    )


def test_permuted_labels_leave_every_identity_its_balance(demo_faces: FacesStore) -> None:
    summaries = demo_faces.summaries(["train"])
    permuted = permuted_by_identity(summaries, seed=0)
    changed = summaries["label"].to_numpy() != permuted["label"].to_numpy()
    assert 0.3 < changed.mean() < 0.7
    for table in (summaries, permuted):
        counts = table.group_by("identity").aggregate([("label", "sum"), ("label", "count")])
        assert set(counts["label_sum"].to_pylist()) == {2}
        assert set(counts["label_count"].to_pylist()) == {4}


def test_true_labels_hold_on_unseen_people_and_shuffled_ones_do_not(
    demo_recipe: Recipe, demo_faces: FacesStore
) -> None:
    summaries = demo_faces.summaries()
    true = trained(demo_recipe, demo_faces, summaries, demo_recipe.seed)
    auc = auc_on_unseen(demo_recipe, demo_faces, true)
    assert auc >= 0.85
    controls = []
    for seed in range(CONTROLS):
        permuted = permuted_by_identity(summaries, seed)
        detector = trained(demo_recipe, demo_faces, permuted, seed)
        controls.append(auc_on_unseen(demo_recipe, demo_faces, detector))
    print(f"AUC on unseen people: true labels {auc:.3f}, shuffled {np.round(controls, 3)}")
    assert 0.35 <= np.mean(controls) <= 0.65, controls
