"""The losses with one triplet per anchor are their definitions: value, gradient and counts."""

from functools import partial

import pytest
import torch

from dfray.losses.hard_triplet import batch_hard_triplet, easy_positive_triplet
from tests.losses.naive import naive_hard_triplet

LOSSES = {
    "HP-HN": (batch_hard_triplet, partial(naive_hard_triplet, hardest_positive=True)),
    "EP-HN": (easy_positive_triplet, partial(naive_hard_triplet, hardest_positive=False)),
}
pytestmark = pytest.mark.parametrize("name", LOSSES)


def random_batch(size, classes=2, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(size, 16, generator=generator, dtype=torch.float64).to(dtype)
    return embeddings, torch.randint(classes, (size,), generator=generator)


def with_gradient(loss_of, embeddings, labels, margin):
    leaf = embeddings.clone().requires_grad_()
    loss, active, valid = loss_of(leaf, labels, margin)
    loss.backward()
    return loss.detach(), leaf.grad, int(active), int(valid)


def test_a_batch_worked_by_hand(name):
    embeddings = torch.tensor([[0.0], [1.0], [4.0], [6.0]])
    labels = torch.tensor([0, 0, 0, 1])
    loss, active, valid = LOSSES[name][0](embeddings, labels, 1.0)
    # Anchors 0, 1, 2 have positives at (1, 4), (1, 3), (3, 4) and the negative at 6, 5, 2.
    # HP: 4+1-6, 3+1-5, 4+1-2; EP: 1+1-6, 1+1-5, 3+1-2. Anchor 3 has no positive.
    assert (loss, active, valid) == {"HP-HN": (1.0, 1, 3), "EP-HN": (2 / 3, 1, 3)}[name]


@pytest.mark.parametrize("classes", [1, 2, 5, 40])
@pytest.mark.parametrize("margin", [0.0, 0.3, 100.0])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)],
)
def test_is_the_definition(name, dtype, tolerance, margin, classes):
    ours, naive = LOSSES[name]
    batch = random_batch(33, classes, dtype)
    fast, slow = with_gradient(ours, *batch, margin), with_gradient(naive, *batch, margin)
    assert fast[2:] == slow[2:]
    torch.testing.assert_close(fast[0].double(), slow[0], rtol=min(tolerance, 1e-5), atol=1e-6)
    assert fast[1].dtype == dtype
    torch.testing.assert_close(fast[1], slow[1], rtol=tolerance, atol=1e-6)


def test_what_ties_is_not_active_and_what_is_doubled_is_at_distance_zero(name):
    embeddings = torch.tensor([[0.0, 0], [0, 0], [3, 4], [4, 3], [0, 0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    fast = with_gradient(LOSSES[name][0], embeddings, labels, 0.0)
    slow = with_gradient(LOSSES[name][1], embeddings, labels, 0.0)
    assert fast[2:] == slow[2:]
    torch.testing.assert_close(fast[0].double(), slow[0])
    assert torch.isfinite(fast[1]).all()


def test_gradient_agrees_with_finite_differences(name):
    embeddings, labels = random_batch(9, classes=3)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: LOSSES[name][0](e, labels, 0.4)[0], embeddings)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]], ids=["one class", "one of each"])
def test_without_triplets_the_loss_is_zero_with_a_graph(name, labels):
    embeddings = torch.tensor([[0.0], [1.0], [3.0]])
    loss, gradient, active, valid = with_gradient(
        LOSSES[name][0], embeddings, torch.tensor(labels), 1.0
    )
    assert loss == active == valid == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_hidden(name, value):
    embeddings, labels = random_batch(8)
    embeddings[3, 2] = value
    assert LOSSES[name][0](embeddings, labels, 0.5)[0].isnan()


def test_autocast_does_not_lower_its_precision(name):
    embeddings, labels = random_batch(16, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = LOSSES[name][0](embeddings, labels, 0.5)
    assert inside == LOSSES[name][0](embeddings, labels, 0.5)
