"""Training objective: softmax cross-entropy, and weighted terms on the embeddings and on trained weights.

In training the terms on embeddings are computed over the global batch, gathered from all workers. In
evaluation each worker computes its batch alone, without communication, so shares may be unequal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import ObjectiveSection
from dfray.losses.balance import BalancedWeight
from dfray.losses.gather import gather
from dfray.losses.hard_triplet import batch_hard_triplet, easy_positive_triplet
from dfray.losses.hypersphere import alignment, slerp_within_classes, uniformity
from dfray.losses.metric import build_metric_loss
from dfray.losses.triplet import batch_all_triplet

Head = Callable[[Tensor], Tensor]
"""Embeddings (B, D) -> logits (B, C)."""

TRIPLET_LOSSES = {
    "batch_all": batch_all_triplet,
    "batch_hard": batch_hard_triplet,
    "easy_positive": easy_positive_triplet,
}


class Objective(nn.Module):
    """L = L_CE + w L_triplet (arXiv 2508.19730 section 3.3) + a L_align + u L_unif + v L_metric.

    Each worker calls it after the wrapped model, not inside it. All terms but the cross-entropy are of the
    same gathered batch on every worker, so the parameters of a metric loss get the same gradients on all;
    `dfray.losses.gather.average_gradients` makes them exactly equal.

    Args:
        num_classes, embedding_dim: C and D, for the losses with parameters.
        accumulate: micro-batches in each step of training.
        components: returns the terms on trained singular components, by their key; called where one has a
            weight.
    """

    def __init__(
        self,
        section: ObjectiveSection,
        *,
        num_classes: int = 2,
        embedding_dim: int = 0,
        accumulate: int = 1,
        components: Callable[[], dict[str, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.section, self.components = section, components
        self.triplet_loss = TRIPLET_LOSSES[section.triplet.strategy]
        self.balance = (
            BalancedWeight(section.triplet.balance_steps * accumulate)
            if section.triplet.weight == "balance"
            else None
        )
        self.metric = (
            build_metric_loss(section.metric, num_classes=num_classes, embedding_dim=embedding_dim)
            if section.metric
            else None
        )

    def forward(
        self, logits: Tensor, embeddings: Tensor, labels: Tensor, head: Head | None = None
    ) -> dict[str, Tensor]:
        """Return the terms for one batch, scalars in float32 (float64 for float64 inputs).

        Args:
            logits: (B, C), B being this worker's share.
            embeddings: (B, D).
            labels: (B,) int64 class indices.
            head: gives the logits of the features that slerp makes; used with slerp only.

        Returns:
            loss: the sum to minimise; its cross-entropy is of this worker's share, and
                DistributedDataParallel's averaging makes that the global batch's.
            cross_entropy: mean over the share; smoothed in training only.
            triplet: mean as the strategy defines it, unweighted.
            active_triplets: their fraction of the valid ones; 0 if there is none.
            alignment, uniformity, metric: unweighted, where the recipe has them.
            orthogonality, singular_values: likewise, in training only, as they are not of the batch.

            With a weight of 0 no triplet is mined and `triplet` and `active_triplets` are constant 0.
        """
        section = self.section
        if self.training and section.hypersphere.slerp:
            assert head is not None, "slerp makes features that have no logits yet"
            embeddings = slerp_within_classes(embeddings, labels)
            logits = head(embeddings)
        terms = {"cross_entropy": self._cross_entropy(logits, labels)}
        loss = terms["cross_entropy"]
        terms |= dict.fromkeys(("triplet", "active_triplets"), loss.new_zeros(()))
        if self.training and self._has_embedding_terms():
            embeddings, labels = gather(embeddings), gather(labels)
        if section.triplet.weight != 0:
            terms |= self._triplets(embeddings, labels)
            loss = loss + self._triplet_weight(terms) * terms["triplet"]
        if section.hypersphere.alignment:
            terms["alignment"] = alignment(embeddings, labels)
            loss = loss + section.hypersphere.alignment * terms["alignment"]
        if section.hypersphere.uniformity:
            terms["uniformity"] = uniformity(embeddings)
            loss = loss + section.hypersphere.uniformity * terms["uniformity"]
        if section.metric and self.metric:
            terms["metric"] = self.metric(embeddings, labels)
            loss = loss + section.metric.weight * terms["metric"]
        if self.training and section.components.is_used:
            assert self.components is not None, "the recipe's check"
            for name, term in self.components().items():
                terms[name] = term
                loss = loss + getattr(section.components, name) * term
        return {"loss": loss, **terms}

    def end_epoch(self) -> dict[str, float]:
        """Return the balanced weight, for the run's metrics; call it before every validation.

        A balanced w is fixed here at the latest, so that all epochs are validated by one objective.

        Raises:
            TrainingError: w cannot be balanced, as no triplet was active.
        """
        if self.balance is None:
            return {}
        self.balance.settle()
        return {"triplet_weight": self.balance.value}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups of the losses with parameters; empty without any.

        Without weight decay, our choice: proxies and centres are compared by direction or distance,
        and a pull to the origin is not part of any of these losses.
        """
        parameters = list(self.parameters())
        if not (parameters and self.section.metric):
            return []
        scale = self.section.metric.lr_scale
        return [{"params": parameters, "weight_decay": 0.0, "lr_scale": scale}]

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        if logits.dtype.itemsize < 4:
            logits = logits.float()
        smoothing = self.section.label_smoothing if self.training else 0.0
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)

    def _triplets(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        loss, active, valid = self.triplet_loss(embeddings, labels, self.section.triplet.margin)
        return {"triplet": loss, "active_triplets": active.to(loss) / valid.clamp(min=1)}

    def _triplet_weight(self, terms: dict[str, Tensor]) -> float:
        weight = self.section.triplet.weight
        if self.balance is None:
            assert weight != "balance"
            return weight
        value: float = self.balance(terms["cross_entropy"], terms["triplet"])
        return value

    def _has_embedding_terms(self) -> bool:
        section = self.section
        sphere = section.hypersphere
        return bool(section.triplet.weight or sphere.alignment or sphere.uniformity or self.metric)
