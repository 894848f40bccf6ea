"""The definitions of the losses, written out in float64: every triplet, every anchor, every pair."""

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


def naive_hard_triplet(embeddings, labels, margin, hardest_positive=True):
    """Loss, active and valid anchors, anchor by anchor (arXiv 2508.19730 section 3.3.1)."""
    points, labels = embeddings.double(), labels.tolist()
    values = []
    for i, anchor in enumerate(points):
        distances = [(anchor - other).norm() for other in points]
        positives = [d for j, d in enumerate(distances) if j != i and labels[j] == labels[i]]
        negatives = [d for j, d in enumerate(distances) if labels[j] != labels[i]]
        if positives and negatives:
            positive = max(positives) if hardest_positive else min(positives)
            values.append(torch.relu(positive - min(negatives) + margin))
    loss = sum(values, 0 * points.sum()) / max(1, len(values))
    return loss, sum(int(value > 0) for value in values), len(values)


def naive_alignment(embeddings, labels):
    points = [point / point.norm() for point in embeddings.double()]
    values = [
        (points[i] - points[j]).square().sum()
        for i in range(len(points))
        for j in range(i)
        if labels[i] == labels[j]
    ]
    return sum(values) / len(values)


def naive_uniformity(embeddings):
    points = [point / point.norm() for point in embeddings.double()]
    values = [
        torch.exp(-2 * (points[i] - points[j]).square().sum())
        for i in range(len(points))
        for j in range(i)
    ]
    return torch.log(sum(values) / len(values))
