"""Batch-all triplet loss, exact, in O(B^2 log B) time and O(B^2) memory.

The B^3 triplets are never formed. Once it is known in how many active triplets each pair stands,
the loss is linear in the distances:

    sum over active (i, j, k) of (D_ij + m - D_ik)  =  sum over pairs of W_ij D_ij  +  m |V+|

W_ij counts, for a positive pair, the negatives k of anchor i with D_ik < D_ij + m; for a negative
pair it is minus the count of positives whose threshold lies beyond it. One sort of each row gives
both. W is constant almost everywhere, so the gradient goes through the distances alone.

Distances are compared after rounding to the embeddings' precision, so that equal distances tie.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.losses.distances import PairwiseDistances


def batch_all_triplet(
    embeddings: Tensor, labels: Tensor, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of D_ij + margin - D_ik over the active triplets (arXiv 2508.19730 section 3.3.1).

    A triplet (i, j, k) is valid if i != j, y_i = y_j and y_i != y_k; active if its value is
    strictly positive. The paper's formula prints D_jk; its text and its source (arXiv 1703.07737)
    measure both distances from the anchor i, and so does this.

    Args:
        embeddings: (B, D), any floating dtype; float64 stays, all others give a float32 loss.
        labels: (B,), any number of classes.
        margin: m >= 0, in embedding units.

    Returns:
        loss: scalar; 0 with a graph (and zero gradients) if no triplet is active.
        active: int64 scalar, the number of active triplets.
        valid: int64 scalar, the number of valid ones.
    """
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    distances: Tensor = PairwiseDistances.apply(embeddings)
    negative = labels[:, None] != labels[None, :]
    positive = ~negative & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    comparable = distances.detach().to(dtype).double()
    weights, active = _pair_weights(comparable, positive, negative, margin)
    valid = (positive.sum(dim=1) * negative.sum(dim=1)).sum()
    total = (weights * distances).sum() + margin * active.double()
    return (total / active.clamp(min=1)).to(dtype), active, valid


def _pair_weights(
    distances: Tensor, positive: Tensor, negative: Tensor, margin: float
) -> tuple[Tensor, Tensor]:
    """Return W (B, B) float64 and the number of active triplets, int64, from float64 distances."""
    order = _order(torch.where(positive, distances + margin, distances), positive, negative)
    positive_sorted, negative_sorted = positive.gather(1, order), negative.gather(1, order)
    nearer = negative_sorted.cumsum(dim=1).masked_fill_(~positive_sorted, 0)
    beyond = positive.sum(dim=1, keepdim=True) - positive_sorted.cumsum(dim=1)
    beyond.masked_fill_(~negative_sorted, 0)
    weights = torch.empty_like(distances).scatter_(1, order, (nearer - beyond).double())
    return weights, nearer.sum()


def _order(values: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the column indices that sort each row of `values`, (B, B) float64, none below 0.

    At a tie positives come first (that triplet is worth 0, hence not active); an anchor comes last
    in its own row. One integer sort does it: the bits of such floats order as the floats do, their
    free sign bit makes room for the tie-break, and flipping the top bit makes the key signed.
    """
    lowest, highest = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max
    keys = ((values.view(torch.int64) << 1) | negative) ^ lowest
    return keys.masked_fill_(~(positive | negative), highest).argsort(dim=1)
