"""Alignment and uniformity are their definitions; slerp stays on the arcs within a class."""

import math

import pytest
import torch
import torch.nn.functional as F

from dfray.losses.hypersphere import alignment, slerp, slerp_within_classes, uniformity
from tests.losses.naive import naive_alignment, naive_uniformity

TERMS = {
    "alignment": (alignment, naive_alignment),
    "uniformity": (
        lambda embeddings, _: uniformity(embeddings),
        lambda embeddings, _: naive_uniformity(embeddings),
    ),
}
each_term = pytest.mark.parametrize("name", TERMS)


def random_batch(size=17, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(size, 6, generator=generator, dtype=torch.float64).to(dtype)
    return embeddings, torch.arange(size) % 3


def with_gradient(term, embeddings, labels):
    leaf = embeddings.clone().requires_grad_()
    value = term(leaf, labels)
    value.backward()
    return value.detach(), leaf.grad


@each_term
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)],
)
def test_is_the_definition(name, dtype, tolerance):
    ours, naive = TERMS[name]
    value, gradient = with_gradient(ours, *random_batch(dtype=dtype))
    expected, slope = with_gradient(naive, *random_batch(dtype=dtype))
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert gradient.dtype == dtype
    torch.testing.assert_close(value.double(), expected, rtol=min(tolerance, 1e-5), atol=1e-6)
    torch.testing.assert_close(gradient, slope, rtol=tolerance, atol=1e-6)


@each_term
def test_gradient_agrees_with_finite_differences(name):
    embeddings, labels = random_batch(7)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: TERMS[name][0](e, labels), embeddings)


@each_term
def test_the_length_of_embeddings_does_not_matter(name):
    embeddings, labels = random_batch()
    lengths = torch.linspace(0.1, 9, len(embeddings))[:, None]
    torch.testing.assert_close(
        TERMS[name][0](lengths * embeddings, labels), TERMS[name][0](embeddings, labels)
    )


def test_points_worked_by_hand():
    points = torch.tensor([[1.0, 0], [0, 1], [-1, 0]])
    assert alignment(points, torch.tensor([0, 0, 1])) == pytest.approx(2)
    assert alignment(points, torch.tensor([0, 1, 0])) == pytest.approx(4)
    expected = math.log((2 * math.exp(-4) + math.exp(-8)) / 3)
    assert uniformity(points) == pytest.approx(expected)


@each_term
def test_duplicates_have_finite_gradients(name):
    embeddings, labels = random_batch(4, torch.float32)
    _, gradient = with_gradient(TERMS[name][0], embeddings.repeat(3, 1), labels.repeat(3))
    assert torch.isfinite(gradient).all()


@each_term
@pytest.mark.parametrize("size", [1, 2])
def test_without_pairs_the_term_is_zero_with_a_graph(name, size):
    labels = torch.arange(size)  # no two alike
    value, gradient = with_gradient(TERMS[name][0], torch.ones(size, 3), labels)
    assert value == 0
    assert (gradient == 0).all()


@each_term
def test_what_is_not_finite_is_not_hidden(name):
    embeddings, labels = random_batch()
    embeddings[3, 2] = torch.nan
    assert TERMS[name][0](embeddings, labels).isnan()


def test_slerp_goes_along_the_great_circle_at_even_speed():
    start, end = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0, 1.0, 0]])
    for part in (0.0, 0.25, 0.5, 1.0):
        angle = part * math.pi / 2
        expected = torch.tensor([[math.cos(angle), math.sin(angle), 0]])
        torch.testing.assert_close(slerp(start, end, torch.tensor([[part]])), expected)


def test_slerp_of_unit_features_is_unit_and_of_others_between_their_lengths():
    embeddings, _ = random_batch(64, torch.float32)
    place = torch.rand(64, 1, generator=torch.Generator().manual_seed(1))
    unit = F.normalize(embeddings, dim=1)
    lengths = slerp(unit, unit.flip(0), place).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(64))
    made = slerp(embeddings, embeddings.flip(0), place).norm(dim=1, keepdim=True)
    between = torch.lerp(embeddings.norm(dim=1), embeddings.flip(0).norm(dim=1), place[:, 0])
    torch.testing.assert_close(made[:, 0], between)


@pytest.mark.parametrize("sign", [1, -1], ids=["the same", "opposite"])
def test_slerp_of_parallel_features_has_finite_gradients(sign):
    start = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    made = slerp(start, sign * start.detach(), torch.full((5, 1), 0.3))
    made.sum().backward()
    assert torch.isfinite(start.grad).all()


def test_a_feature_is_mixed_with_its_own_class_only():
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 0, 1])
    axes = torch.eye(3)[labels] * torch.arange(1, 9)[:, None]
    torch.manual_seed(0)
    made = slerp_within_classes(axes, labels)
    assert torch.equal((made.abs() > 1e-6).int(), torch.eye(3)[labels].int())
    torch.testing.assert_close(made[2], axes[2])  # alone in its class: itself
    assert not torch.allclose(made[[0, 3, 5, 6]], axes[[0, 3, 5, 6]])


def test_slerp_draws_from_the_seed_and_anew_each_time():
    embeddings, labels = random_batch()
    torch.manual_seed(4)
    first, second = (slerp_within_classes(embeddings, labels) for _ in range(2))
    torch.manual_seed(4)
    assert torch.equal(slerp_within_classes(embeddings, labels), first)
    assert not torch.equal(first, second)
