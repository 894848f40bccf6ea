"""The unit hypersphere: alignment, uniformity, and new features between those of one class.

The terms are of arXiv 2005.10242, as arXiv 2503.19683 uses them for deepfakes; so is the interpolation,
whose details are in the public code of the latter.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.losses.distances import PairwiseDistances

_PARALLEL_RAD = 1e-3
"""Below this angle, and this near to opposite, a straight line is as good and has finite gradients."""


def alignment(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Mean over the pairs of one class of ||x - y||^2 (arXiv 2005.10242 section 4.1.1, alpha = 2).

    Args:
        embeddings: (B, D), any floating dtype; normalised to unit length here.
        labels: (B,), any number of classes.

    Returns:
        scalar in float32 (float64 of float64); 0 with a graph if no two samples share a class.
    """
    same = torch.triu(labels[:, None] == labels[None, :], diagonal=1)
    squared = _squared_distances(embeddings)
    return _like(((squared * same).sum() / same.sum().clamp(min=1)), embeddings)


def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean over all pairs of exp(-2 ||x - y||^2) (arXiv 2005.10242 section 4.1.2, t = 2).

    Args:
        embeddings: (B, D), any floating dtype; normalised to unit length here.

    Returns:
        scalar in float32 (float64 of float64), from -8 to 0; 0 with a graph for a single sample.
    """
    squared = _squared_distances(embeddings)
    count = len(squared)
    row, column = torch.triu_indices(count, count, offset=1, device=squared.device)
    if not len(row):
        return _like(squared.sum(), embeddings)
    pairs = squared[row, column]
    return _like(torch.logsumexp(-2 * pairs, dim=0) - math.log(len(pairs)), embeddings)


def slerp_within_classes(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Replace each embedding by a random point on the arc from it to another of its class.

    Partners are a random permutation within each class (some are paired with themselves), places on the
    arc are uniform; both are drawn from torch's global generators. Lengths are interpolated linearly, which
    on the unit sphere leaves 1.

    Args:
        embeddings: (B, D), the input of the linear head.
        labels: (B,).

    Returns:
        (B, D) of the same dtype, float32 for halves; of the same classes.
    """
    points = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    place = torch.rand(len(points), 1, dtype=points.dtype, device=points.device)
    return slerp(points, points[_partners(labels)], place)


def slerp(start: Tensor, end: Tensor, place: Tensor) -> Tensor:
    """Return the point at `place` on the great arc from `start` to `end`; lengths interpolated linearly.

    Args:
        start, end: (B, D).
        place: (B, 1) in 0..1; 0 is `start`.
    """
    from_direction, to_direction = F.normalize(start, dim=1), F.normalize(end, dim=1)
    cosine = (from_direction * to_direction).sum(dim=1, keepdim=True)
    bent = cosine.abs() < math.cos(_PARALLEL_RAD)
    angle = torch.where(bent, cosine, 0).acos()
    along_arc = (
        ((1 - place) * angle).sin() * from_direction + (place * angle).sin() * to_direction
    ) / angle.sin()
    along_line = torch.lerp(from_direction, to_direction, place)
    direction = torch.where(bent, along_arc, along_line)
    length = torch.lerp(start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True), place)
    return direction * length


def _partners(labels: Tensor) -> Tensor:
    """Return (B,) indices, a random permutation within each class."""
    shuffled = torch.randperm(len(labels), device=labels.device)
    partners = torch.empty_like(shuffled)
    partners[labels.argsort(stable=True)] = shuffled[labels[shuffled].argsort(stable=True)]
    return partners


def _squared_distances(embeddings: Tensor) -> Tensor:
    """(B, D), any floating dtype -> (B, B) float64, between the unit vectors."""
    distances: Tensor = PairwiseDistances.apply(F.normalize(embeddings.double(), dim=1))
    return distances.square()


def _like(value: Tensor, embeddings: Tensor) -> Tensor:
    return value.to(torch.promote_types(embeddings.dtype, torch.float32))
