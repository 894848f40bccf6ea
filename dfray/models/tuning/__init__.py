"""Tuning: what of a pretrained network is trained, and what is added to it, one file a mode.

`full`, `head`, `norm_layers` and `last_blocks` train a part of the network as it is. `lora` and `svd` add
parameters to linear layers, and `plain_state` merges them into these layers: the saved network is the plain
one. `adapter` trains an FS-Adapter above the backbone (`dfray.models.fs_adapter`): it is not linear, so no
layer of the backbone can hold it, and it is saved with the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.models.fs_adapter import adapter_of
from dfray.models.tuning import lora, svd
from dfray.models.tuning.layers import train_last_blocks, train_norms

_Mode = Callable[[Any, ModelSection], None]

_MODES: dict[str, _Mode] = {
    "head": lambda *_: None,
    "norm_layers": train_norms,
    "last_blocks": train_last_blocks,
    "lora": lora.add,
    "svd": svd.add,
    "adapter": lambda *_: None,
}
"""`model.tuning` -> function that marks or adds parameters to train in a frozen backbone."""


def apply_tuning(backbone: Any, section: ModelSection) -> None:
    """Set which parameters of a timm model are trained, and add those of the section's mode, in place.

    The linear classifier, and an FS-Adapter beside it, are trained in every mode.

    Raises:
        RecipeError: the backbone lacks the layers or blocks that the section names, its rank is too high
            for them, or lora is asked for without peft.
    """
    if section.tuning == "full":
        return
    backbone.requires_grad_(False)
    _MODES[section.tuning](backbone, section)
    backbone.get_classifier().requires_grad_(True)
    if (adapter := adapter_of(backbone)) is not None:
        adapter.requires_grad_(True)


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the state_dict of the network with the parameters of lora and svd merged into its layers."""
    state: dict[str, Tensor] = network.state_dict()
    for name, module in network.named_modules():
        for mode in (lora, svd):
            if mode.is_added(module):
                _replace(state, name, mode.merged(module))
    return state


def _replace(state: dict[str, Tensor], name: str, layer: dict[str, Tensor]) -> None:
    """Put a plain layer's tensors in the place of all entries of the module `name`."""
    for key in [key for key in state if key.startswith(f"{name}.")]:
        del state[key]
    state.update({f"{name}.{key}": value for key, value in layer.items()})
