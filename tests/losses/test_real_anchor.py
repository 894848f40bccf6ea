"""The real-anchor contrastive loss against its plain definition."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dfray.config import MetricSection
from dfray.losses.custom.real_anchor import RealAnchorLoss
from dfray.losses.metric import build_metric_loss


def plain(embeddings, labels, temperature):
    """Each real face's mean log-share of the other real faces among all others; 0 for a fake."""
    points = F.normalize(embeddings, dim=1).tolist()
    total = 0.0
    for i, anchor in enumerate(points):
        others = [j for j in range(len(points)) if j != i]
        weight = {
            j: math.exp(sum(a * b for a, b in zip(anchor, points[j], strict=True)) / temperature)
            for j in others
        }
        same = [j for j in others if labels[i] == labels[j] == 0]
        if same:
            shares = [math.log(weight[j] / sum(weight.values())) for j in same]
            total -= sum(shares) / len(same)
    return total / len(points)


@pytest.mark.parametrize(
    "labels", [[0, 1, 0, 2, 0, 1], [0, 1, 1, 1, 1, 1], [1, 1, 2, 2, 1, 1], [0] * 6]
)
@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_its_plain_definition(labels, temperature, dtype):
    torch.manual_seed(0)
    embeddings = torch.randn(6, 8, dtype=dtype, requires_grad=True)
    value = RealAnchorLoss(temperature)(embeddings, torch.tensor(labels))
    assert value.item() == pytest.approx(plain(embeddings.detach(), labels, temperature), rel=1e-4)
    value.backward()
    assert torch.isfinite(embeddings.grad).all()
    assert bool(embeddings.grad.any()) == (labels.count(0) > 1)


def test_its_gradient_is_that_of_its_values():
    torch.manual_seed(0)
    embeddings = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    assert torch.autograd.gradcheck(lambda points: RealAnchorLoss(0.3)(points, labels), embeddings)


def test_a_recipe_names_it():
    section = MetricSection(name="RealAnchorLoss", options={"temperature": 0.1})
    loss = build_metric_loss(section, num_classes=2, embedding_dim=8)
    assert loss.loss.temperature == 0.1
