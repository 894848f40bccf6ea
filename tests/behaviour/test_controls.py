"""The demo's detector learns the forgery: with labels that do not tell it, it learns nothing that holds.

Four trainings of the demo's length, in one process without Ray: one on the true labels, three on labels
permuted among the videos of each identity, in training and validation alike. Each identity keeps as many
"fakes" as it has, so neither a person nor the balance can give a label away. All are tested on the true
labels of people that none has seen.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from dfray.config import Recipe
from dfray.faces.shards import FacesStore
from dfray.models.backbone import Detector
from tests.helpers.plain_training import trained, video_scores

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


def auc_on_unseen(recipe: Recipe, store: FacesStore, detector: Detector) -> float:
    """Video-level AUC on the true labels of the test split."""
    scored = video_scores(recipe, store, detector)
    assert scored.num_rows >= 60
    return float(roc_auc_score(scored["label"].to_numpy(), scored["fake_probability"].to_numpy()))


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
