"""Real-anchor contrastive loss of FS-Adapter (arXiv 2510.10663)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfray.tables import REAL


class RealAnchorLoss(nn.Module):
    """Supervised contrastive loss (arXiv 2004.11362) whose anchors are the real faces.

    It pulls real faces together and pushes fake ones from them; fake faces are not compared with each other.
    As in the authors' code it is the mean over the batch: a fake face counts 0, and so does a lone real one.

    Args:
        temperature: of the cosine similarities.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(B, D) embeddings, (B,) class indices, 0 real -> a scalar."""
        points = F.normalize(embeddings, dim=1)
        itself = torch.eye(len(points), dtype=torch.bool, device=points.device)
        similarity = (points @ points.T / self.temperature).masked_fill(itself, -torch.inf)
        log_share = similarity.log_softmax(dim=1).masked_fill(itself, 0.0)
        is_real = labels == REAL
        pairs = (is_real[:, None] & is_real & ~itself).to(points.dtype)
        of_anchor = (pairs * log_share).sum(dim=1) / pairs.sum(dim=1).clamp(min=1)
        return -of_anchor.mean()
