"""What training minimises: softmax cross-entropy plus w times the batch-all triplet loss.

In training the triplets are mined over the global batch, gathered from all workers. In evaluation
each worker mines its own batch: no worker waits for another, so they may hold unequal shares.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import ObjectiveSection
from dfray.losses.gather import gather
from dfray.losses.triplet import batch_all_triplet


class Objective(nn.Module):
    """L = L_CE + w L_triplet (arXiv 2508.19730 section 3.3); no parameters of its own."""

    def __init__(self, section: ObjectiveSection) -> None:
        super().__init__()
        self.triplet = section.triplet

    def forward(self, logits: Tensor, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The terms for one batch, scalars in float32 (float64 for float64 inputs).

        Args:
            logits: (B, C), B being this worker's share.
            embeddings: (B, D).
            labels: (B,) int64 class indices.

        Returns:
            loss: what to minimise; its cross-entropy is of this worker's share, and
                DistributedDataParallel's averaging makes that the global batch's.
            cross_entropy: mean over the share.
            triplet: mean over the active triplets, unweighted.
            active_triplets: their fraction of the valid ones; 0 if there is none.

            With a weight of 0 no triplet is mined and the last two are constant 0.
        """
        if logits.dtype.itemsize < 4:
            logits = logits.float()
        cross_entropy = F.cross_entropy(logits, labels)
        if self.triplet.weight == 0:
            zero = cross_entropy.new_zeros(())
            return {
                "loss": cross_entropy,
                "cross_entropy": cross_entropy,
                "triplet": zero,
                "active_triplets": zero,
            }
        if self.training:
            embeddings, labels = gather(embeddings), gather(labels)
        triplet, active, valid = batch_all_triplet(embeddings, labels, self.triplet.margin)
        return {
            "loss": cross_entropy + self.triplet.weight * triplet,
            "cross_entropy": cross_entropy,
            "triplet": triplet,
            "active_triplets": active / valid.clamp(min=1),
        }
