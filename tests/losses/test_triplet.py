"""The fast loss is the definition: value, gradient and counts, in every awkward batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfray.losses.distances import PairwiseDistances
from dfray.losses.triplet import batch_all_triplet
from tests.losses.naive import naive_triplet


def random_batch(size, dim=16, classes=2, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(size, dim, generator=generator, dtype=torch.float64).to(dtype)
    return embeddings, torch.randint(classes, (size,), generator=generator)


def with_gradient(loss_of, embeddings, labels, margin):
    leaf = embeddings.clone().requires_grad_()
    loss, active, valid = loss_of(leaf, labels, margin)
    loss.backward()
    return loss.detach(), leaf.grad, active, valid


def assert_is_naive(embeddings, labels, margin, rtol=1e-12, atol=1e-12):
    fast = with_gradient(batch_all_triplet, embeddings, labels, margin)
    slow = with_gradient(naive_triplet, embeddings, labels, margin)
    assert fast[2:] == slow[2:]
    for ours, theirs in zip(fast[:2], slow[:2], strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=rtol, atol=atol)


def test_a_batch_worked_by_hand():
    embeddings = torch.tensor([[0.0], [1.0], [3.0]])
    labels = torch.tensor([0, 0, 1])
    # Anchor 0: 1 + m - 3. Anchor 1: 1 + m - 2. Anchor 2 has no positive.
    assert batch_all_triplet(embeddings, labels, 1.5) == (0.5, 1, 2)
    assert batch_all_triplet(embeddings, labels, 3.0) == (1.5, 2, 2)
    assert batch_all_triplet(embeddings, labels, 1.0) == (0.0, 0, 2)  # 0 is not strictly positive


@pytest.mark.parametrize("classes", [1, 2, 5, 40])
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0, 100.0])
@pytest.mark.parametrize("size", [1, 2, 3, 33])
def test_is_the_definition_in_float64(size, margin, classes):
    assert_is_naive(*random_batch(size, classes=classes), margin)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_is_the_definition_of_float32_embeddings(scale):
    embeddings, labels = random_batch(48, dim=768, dtype=torch.float32)
    assert_is_naive(embeddings * scale, labels, 0.5 * scale, rtol=1e-5, atol=1e-7)


def test_a_large_common_offset_costs_no_accuracy():
    embeddings, labels = random_batch(48, dim=768, dtype=torch.float32)
    assert_is_naive(embeddings + 300, labels, 0.5, rtol=1e-5, atol=1e-7)


@given(
    points=st.lists(
        st.tuples(*[st.integers(-3, 3)] * 2, st.integers(0, 3)), min_size=1, max_size=14
    ),
    margin=st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_is_the_definition_on_a_grid_full_of_ties_and_duplicates(points, margin, dtype):
    grid = torch.tensor(points)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert_is_naive(grid[:, :2].to(dtype), grid[:, 2], margin, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", range(10))
def test_a_tie_in_truth_is_a_tie_however_the_sums_round(seed):
    generator = torch.Generator().manual_seed(seed)
    point = torch.randn(768, generator=generator)
    shuffled = point[torch.randperm(768, generator=generator)]  # as far from the origin
    embeddings = torch.stack([torch.zeros(768), point, shuffled])
    _, active, valid = batch_all_triplet(embeddings, torch.tensor([0, 0, 1]), 0.0)
    assert (active, valid) == (0, 2)


def test_gradient_agrees_with_finite_differences():
    embeddings, labels = random_batch(9, dim=3, classes=3)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: batch_all_triplet(e, labels, 0.4)[0], embeddings)


@pytest.mark.parametrize("dim", [2, 768])
def test_duplicates_are_at_distance_zero_and_have_finite_gradients(dim):
    embeddings, _ = random_batch(4, dim=dim, dtype=torch.float32)
    embeddings = embeddings.repeat(3, 1)  # each point three times, across the classes
    labels = torch.arange(12) % 2
    distances = PairwiseDistances.apply(embeddings)
    assert (distances[torch.arange(12) % 4 == 0][:, torch.arange(12) % 4 == 0] == 0).all()
    assert_is_naive(embeddings, labels, 0.1, rtol=1e-5, atol=1e-6)


def test_a_batch_of_one_point_repeated_has_loss_m_and_no_gradient():
    embeddings = torch.full((6, 5), 0.7)
    loss, gradient, active, valid = with_gradient(
        batch_all_triplet, embeddings, torch.arange(6) % 2, 0.25
    )
    assert loss == pytest.approx(0.25)
    assert active == valid == 6 * 2 * 3
    assert (gradient == 0).all()


@pytest.mark.parametrize(
    ("embeddings", "labels"),
    [
        (torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(8, dtype=int)),
        (torch.ones(1, 4), torch.tensor([1])),
        (torch.ones(2, 4), torch.tensor([0, 1])),
        (torch.tensor([[0.0], [0.1], [50.0], [50.1]]), torch.tensor([0, 0, 1, 1])),
    ],
    ids=["one class", "one sample", "one of each", "all easy"],
)
def test_without_active_triplets_the_loss_is_zero_with_a_graph(embeddings, labels):
    loss, gradient, active, _ = with_gradient(batch_all_triplet, embeddings, labels, 1.0)
    assert loss == 0
    assert active == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_equals_float32_on_the_upcast_values(dtype):
    embeddings, labels = random_batch(32, dim=64, dtype=dtype)
    half = with_gradient(batch_all_triplet, embeddings, labels, 0.5)
    full = with_gradient(batch_all_triplet, embeddings.float(), labels, 0.5)
    assert half[0].dtype == torch.float32
    assert half[0] == full[0]
    assert torch.equal(half[1], full[1].to(dtype))
    assert half[2:] == full[2:]


def test_autocast_does_not_lower_its_precision():
    embeddings, labels = random_batch(32, dim=64, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = batch_all_triplet(embeddings, labels, 0.5)
    assert inside == batch_all_triplet(embeddings, labels, 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_has_the_dtype_of_full_precision_embeddings(dtype):
    loss, active, valid = batch_all_triplet(*random_batch(8, dtype=dtype), 0.5)
    assert (loss.dtype, active.dtype, valid.dtype) == (dtype, torch.int64, torch.int64)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_hidden(value):
    embeddings, labels = random_batch(8)
    embeddings[3, 2] = value
    assert batch_all_triplet(embeddings, labels, 0.5)[0].isnan()


def test_the_order_of_the_batch_does_not_matter():
    embeddings, labels = random_batch(40, classes=3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    loss, active, valid = batch_all_triplet(embeddings, labels, 0.5)
    shuffled = batch_all_triplet(embeddings[order], labels[order], 0.5)
    torch.testing.assert_close(shuffled[0], loss)
    assert shuffled[1:] == (active, valid)
