"""Trained singular components in the complement of frozen leading ones (Effort, arXiv 2411.15633 section 3).

A weight W = U S V^T keeps its leading components, and the k smallest are trained: the vectors of both sides
and the values. The paper trains one component (its n - r) of each projection of CLIP's attention layers,
0.19 M parameters in all; a fused projection of query, key and value is three matrices here, too.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.tuning.targets import linear_targets

DEFAULT_RANK = 1
_FUSED = {"qkv": 3, "kv": 2}
"""Name of a linear layer -> matrices that are stacked in its weight."""


class Residual(nn.Module):
    """Weight W = M + sum_i s_i u_i v_i^T with the leading part M frozen; a parametrization of torch's.

    All tensors hold b matrices of one layer; `values` are the s at the start. `left` and `right` are (b, n,
    n - k) leading vectors where a side is longer than the matrix has components, else the starts (b, n, k) of
    the trained vectors, whose complement the leading ones span.

    Args:
        weight: (b * rows, cols) of the pretrained layer.
        count: b.
        rank: k, the trained components.
    """

    def __init__(self, weight: Tensor, count: int, rank: int) -> None:
        super().__init__()
        self.count = count
        u, s, vt = torch.linalg.svd(self._matrices(weight.detach().float()), full_matrices=False)
        start = u[..., -rank:], s[..., -rank:], vt[..., -rank:, :]
        self._start = start
        self.main = _frozen(weight.detach() - _product(*start).view_as(weight))
        rows, cols = u.shape[-2], vt.shape[-1]
        self.left_is_leading, self.right_is_leading = rows > cols, cols > rows
        v = vt.mT
        self.left = _frozen(u[..., :-rank] if self.left_is_leading else u[..., -rank:])
        self.right = _frozen(v[..., :-rank] if self.right_is_leading else v[..., -rank:])
        self.values = _frozen(s[..., -rank:])

    def forward(self, u: Tensor, s: Tensor, vt: Tensor) -> Tensor:
        """Return the weight of u (b, rows, k), s (b, k) and vt (b, k, cols), in float32 also in autocast."""
        with _without_autocast(u.device):
            return self.main + _product(u, s, vt).view_as(self.main)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the components that training starts from; torch calls it once, with the weight."""
        del weight  # its components were computed with M
        u, s, vt = self._start
        del self._start
        return u.clone(), s.clone(), vt.clone()

    def _matrices(self, weight: Tensor) -> Tensor:
        return weight.view(self.count, -1, weight.shape[1])

    def penalties(self, u: Tensor, s: Tensor, vt: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses of arXiv 2411.15633 section 3, each summed over the b matrices.

        Returns:
            orthogonality: |U^T U - I|^2 + |V^T V - I|^2 with leading and trained vectors together, as squared
                Frobenius norms, which are smooth at the orthogonal start.
            singular_values: the absolute difference of |W|^2 from that of the pretrained weight.
        """
        v = vt.mT
        orthogonality = _deviation(u, self.left, leading=self.left_is_leading) + _deviation(
            v, self.right, leading=self.right_is_leading
        )
        main = self._matrices(self.main)
        crossing = ((u.mT @ main) * vt).sum(dim=-1)
        gram = (u.mT @ u) * (vt @ v)
        squares = (s[..., None] * gram * s[..., None, :]).sum(dim=(-2, -1))
        before = self.values.square().sum(dim=-1)
        change = squares + 2 * (s * crossing).sum(dim=-1) - before
        return orthogonality, change.abs().sum()


def add(backbone: Any, section: ModelSection) -> None:
    """Make the smallest components of the section's targets trainable, in place.

    Raises:
        RecipeError: a target is unknown, or has fewer components.
    """
    rank = section.tuning_rank or DEFAULT_RANK
    for name in linear_targets(backbone, section):
        layer = backbone.get_submodule(name)
        count = _FUSED.get(name.rpartition(".")[2], 1)
        components = min(layer.out_features // count, layer.in_features)
        if rank >= components:
            raise RecipeError(
                f"model.tuning_rank: {rank} trained components of {name}, which has {components} in all, "
                "leave none frozen.",
                f"Use {components - 1} at most; arXiv 2411.15633 trains 1.",
            )
        parametrize.register_parametrization(layer, "weight", Residual(layer.weight, count, rank))
        for parameter in _list_of(layer).parameters(recurse=False):
            parameter.requires_grad_(True)


def is_added(module: nn.Module) -> bool:
    """Return True if the module is a linear layer with trained components."""
    return parametrize.is_parametrized(module, "weight") and isinstance(
        _list_of(module)[0], Residual
    )


def merged(module: Any) -> dict[str, Tensor]:
    """Return weight and bias of the plain linear layer that computes the same."""
    bias = {} if module.bias is None else {"bias": module.bias.detach()}
    return {"weight": module.weight.detach()} | bias


def penalties(network: nn.Module) -> dict[str, Tensor]:
    """Return the two losses of `Residual.penalties`, means over all matrices of the network."""
    lists = [_list_of(module) for module in network.modules() if is_added(module)]
    terms = [cast(Residual, each[0]).penalties(*each.parameters(recurse=False)) for each in lists]
    count = sum(cast(Residual, each[0]).count for each in lists)
    orthogonality, values = (torch.stack(term).sum() / count for term in zip(*terms, strict=True))
    return {"orthogonality": orthogonality, "singular_values": values}


def _product(u: Tensor, s: Tensor, vt: Tensor) -> Tensor:
    return (u * s[..., None, :]) @ vt


def _deviation(vectors: Tensor, frozen: Tensor, *, leading: bool) -> Tensor:
    """Return the squared distance of leading and trained vectors' Gram matrix from the identity."""
    inside = frozen.mT @ vectors
    crossing = inside if leading else vectors - frozen @ inside
    gram = vectors.mT @ vectors
    identity = torch.eye(gram.shape[-1], device=gram.device)
    return 2 * crossing.square().sum() + (gram - identity).square().sum()


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    if not torch.amp.is_autocast_available(device.type):  # meta
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _frozen(value: Tensor) -> nn.Parameter:
    """Return a parameter that is not trained: sharded as others are, and left out of checkpoints."""
    return nn.Parameter(value.clone(), requires_grad=False)


def _list_of(module: nn.Module) -> Any:
    return cast(Any, module.parametrizations)["weight"]
