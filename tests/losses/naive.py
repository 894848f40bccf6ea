"""The definition of the batch-all triplet loss, written out: every triplet, in float64."""

import torch


def naive_triplet(embeddings, labels, margin):
    """Loss, active and valid counts from the B^3 triplets of arXiv 2508.19730 section 3.3.1."""
    points = embeddings.double()
    distances = (points[:, None] - points[None, :]).norm(dim=2)
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)
    valid = positive[:, :, None] & ~same[:, None, :]  # (anchor, positive, negative)
    values = distances[:, :, None] + margin - distances[:, None, :]
    active = valid & (values > 0)
    loss = (values * active).sum() / active.sum().clamp(min=1)
    return loss, active.sum(), valid.sum()
