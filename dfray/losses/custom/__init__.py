"""Losses of this project beside pytorch-metric-learning's, one file each.

To add a loss, write one file in this folder and edit no other: a torch module that maps embeddings (B, D)
and labels (B,) to a scalar. `objective.metric.name` then accepts the name of its class, and
`objective.metric.options` its arguments; `num_classes` and `embedding_size` are filled in from the model.
The whole file of a loss that pulls embeddings to a trained centre of their class (arXiv 1707.07391):

    import torch
    from torch import Tensor, nn

    class ClassCentreLoss(nn.Module):
        '''Mean of ||x - c_y||^2 over the batch; c_y (D,) is the trained centre of class y.'''

        def __init__(self, num_classes: int, embedding_size: int, scale: float = 1.0) -> None:
            super().__init__()
            self.centres = nn.Parameter(torch.randn(num_classes, embedding_size))
            self.scale = scale

        def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
            return self.scale * (embeddings - self.centres[labels]).square().sum(dim=1).mean()

Copy tests/losses/test_custom.py for its test, with a naive recomputation.
"""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

from torch import nn


def custom_losses() -> dict[str, type[nn.Module]]:
    """Return name -> class of the losses in this folder's files; names with an underscore are helpers."""
    modules = (import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__))
    return {
        name: loss
        for module in modules
        for name, loss in inspect.getmembers(module, inspect.isclass)
        if issubclass(loss, nn.Module)
        and loss.__module__ == module.__name__
        and not name.startswith("_")
    }
