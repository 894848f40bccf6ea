"""Linear layers that a mode of tuning changes, by the ends of their names."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from dfray.config import ModelSection
from dfray.errors import RecipeError, did_you_mean

_ATTENTION = re.compile(r"(.*\.)?(attn|attention|self_attn)\.[^.]+")
"""A projection of an attention layer: its input's or its output's."""


def linear_targets(backbone: Any, section: ModelSection) -> list[str]:
    """Return the names of the linear layers that end in one of `tuning_targets`, without the head.

    Without targets they are the projections of all attention layers.

    Raises:
        RecipeError: a target names no linear layer; the message has the nearest names.
    """
    head = backbone.get_classifier()
    linears = [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    ]
    if section.tuning_targets is None:
        chosen = [name for name in linears if _ATTENTION.fullmatch(name)]
        if not chosen:
            raise RecipeError(
                f"model.tuning: {section.backbone} has no attention layer that {section.tuning} could "
                "change.",
                f"Name others in model.tuning_targets: {', '.join(_kinds(linears)) or 'it has none'}.",
            )
        return chosen
    for target in section.tuning_targets:
        if not any(_ends_in(name, target) for name in linears):
            raise _unknown(backbone, section, target, _kinds(linears))
    return [
        name for name in linears if any(_ends_in(name, target) for target in section.tuning_targets)
    ]


def _ends_in(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")


def _kinds(names: list[str]) -> list[str]:
    """Return the ends of names after their last number, each once: blocks.0.attn.qkv -> attn.qkv."""
    return list(dict.fromkeys(re.sub(r".*\.\d+\.", "", name) for name in names))


def _unknown(backbone: Any, section: ModelSection, target: str, kinds: list[str]) -> RecipeError:
    others = [
        f"{name} is a {type(module).__name__}"
        for name, module in backbone.named_modules()
        if name and _ends_in(name, target)
    ]
    reason = f" ({others[0]})" if others else ""
    return RecipeError(
        f"model.tuning_targets: {section.backbone} has no linear layer {target!r} below its head{reason}.",
        did_you_mean(target, kinds, limit=3, cutoff=0.4) or f"It has {', '.join(kinds) or 'none'}.",
    )
