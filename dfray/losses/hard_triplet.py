"""Triplet losses with one triplet per anchor: the hardest negative with the hardest or easiest positive.

The pair of an anchor is chosen by distances rounded to the embeddings' precision, the first of those that
tie, as in `dfray.losses.triplet`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.losses.distances import PairwiseDistances


def batch_hard_triplet(
    embeddings: Tensor, labels: Tensor, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Hard positive, hard negative: mean of max(D_i,HP + margin - D_i,HN, 0) over the anchors i.

    HP is the farthest sample of the anchor's class, HN the nearest of another (arXiv 2508.19730 section
    3.3.1, HP-HN; arXiv 1703.07737). The mean is over anchors, easy ones included. The paper divides by
    B; an anchor without a positive or without a negative has no triplet, and here it does not count.

    Args:
        embeddings: (B, D), any floating dtype; float64 stays, all others give a float32 loss.
        labels: (B,), any number of classes.
        margin: m >= 0, in embedding units.

    Returns:
        loss: scalar; 0 with a graph (and zero gradients) if no anchor has a triplet, or all are easy.
        active: int64 scalar, the anchors whose triplet has a value above 0.
        valid: int64 scalar, the anchors that have a triplet.
    """
    return _one_per_anchor(embeddings, labels, margin, farthest_positive=True)


def easy_positive_triplet(
    embeddings: Tensor, labels: Tensor, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Easy positive, hard negative: mean of max(D_i,EP + margin - D_i,HN, 0) over the anchors i.

    EP is the nearest other sample of the anchor's class (arXiv 2508.19730 section 3.3.1, EP-HN, after
    arXiv 1904.04370); all else is as in `batch_hard_triplet`.
    """
    return _one_per_anchor(embeddings, labels, margin, farthest_positive=False)


def _one_per_anchor(
    embeddings: Tensor, labels: Tensor, margin: float, *, farthest_positive: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    distances: Tensor = PairwiseDistances.apply(embeddings)
    negative = labels[:, None] != labels[None, :]
    positive = ~negative & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    comparable = distances.detach().to(dtype).double()
    if farthest_positive:
        chosen_positive = comparable.masked_fill(~positive, -torch.inf).argmax(dim=1, keepdim=True)
    else:
        chosen_positive = comparable.masked_fill(~positive, torch.inf).argmin(dim=1, keepdim=True)
    chosen_negative = comparable.masked_fill(~negative, torch.inf).argmin(dim=1, keepdim=True)
    valid = (positive.any(dim=1) & negative.any(dim=1))[:, None]
    reach = comparable.gather(1, chosen_positive) + margin
    active = valid & (reach > comparable.gather(1, chosen_negative))
    values = distances.gather(1, chosen_positive) + margin - distances.gather(1, chosen_negative)
    total = (values * active).sum()  # a product, so that NaN reaches the loss
    return (total / valid.sum().clamp(min=1)).to(dtype), active.sum(), valid.sum()
