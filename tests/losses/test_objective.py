"""The objective is the sum of its terms, and a term of weight 0 is not there."""

import pytest
import torch
import torch.nn.functional as F

from dfray.config import ObjectiveSection, TripletSection
from dfray.losses import objective as module
from dfray.losses.objective import Objective
from dfray.losses.triplet import batch_all_triplet


def objective_of(weight, margin=1.0):
    return Objective(ObjectiveSection(triplet=TripletSection(weight=weight, margin=margin)))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, generator=generator, requires_grad=True)
    embeddings = torch.randn(12, 5, generator=generator, requires_grad=True)
    return logits, embeddings, torch.arange(12) % 3


@pytest.mark.parametrize("training", [True, False])
def test_loss_is_cross_entropy_plus_the_weighted_triplet(batch, training):
    logits, embeddings, labels = batch
    terms = objective_of(0.3, margin=0.7).train(training)(logits, embeddings, labels)
    triplet, active, valid = batch_all_triplet(embeddings, labels, 0.7)
    assert terms["cross_entropy"] == F.cross_entropy(logits, labels)
    assert terms["triplet"] == triplet > 0
    assert terms["active_triplets"] == active / valid
    assert terms["loss"] == terms["cross_entropy"] + 0.3 * triplet


def test_a_weight_of_zero_mines_no_triplet(batch, monkeypatch):
    def forbidden(*_):
        raise AssertionError("a triplet was mined")

    monkeypatch.setattr(module, "batch_all_triplet", forbidden)
    logits, embeddings, labels = batch
    terms = objective_of(0.0)(logits, embeddings, labels)
    terms["loss"].backward()
    assert embeddings.grad is None
    assert terms["loss"] == terms["cross_entropy"]
    assert terms["triplet"] == terms["active_triplets"] == 0


def test_a_batch_of_one_class_still_trains(batch):
    logits, embeddings, _ = batch
    terms = objective_of(1.0)(logits, embeddings, torch.zeros(12, dtype=torch.long))
    terms["loss"].backward()
    assert terms["triplet"] == terms["active_triplets"] == 0
    assert (embeddings.grad == 0).all()
    assert (logits.grad != 0).any()


def test_half_precision_is_computed_in_float32(batch):
    logits, embeddings, labels = (tensor.detach() for tensor in batch)
    half = objective_of(0.5)(logits.bfloat16(), embeddings.bfloat16(), labels)
    full = objective_of(0.5)(logits.bfloat16().float(), embeddings.bfloat16().float(), labels)
    assert half == full
    assert all(term.dtype == torch.float32 for term in half.values())
