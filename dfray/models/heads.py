"""Attention heads of published ViTs: the shapes of a file are the same for any number of them.

A network with another number than its weights were trained with loads every key and computes other features,
without an error.
"""

from __future__ import annotations

import re
from typing import Any

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models import fsfm

_FILES = (
    (re.compile(r"FS-?VFM[-_]ViT-?S", re.IGNORECASE), 384, "FS-VFM's ViT-S", 12),
    (re.compile(r"\bvit-s-300ep\b"), 384, "MoCo v3's ViT-S", 12),
)
"""Folder and name of a published file, and width -> name and heads of its network, where timm's has others.

FS-VFM: Wolowolo/fsfm-3c on the hub, heads by its authors' models_fsfm.py. MoCo v3 (arXiv 2104.02057): heads
by its authors' vits.py.
"""


def published_heads(section: ModelSection, width: int) -> int | None:
    """Return the heads that the weights of a section were trained with, as far as their publisher states.

    Args:
        width: D of the backbone, which the networks of a publisher's code differ by.

    Raises:
        RecipeError: the recipe has another number than the published file that it names.
    """
    weights = section.weights
    if weights is None or weights == "timm":
        return None
    folder_and_name = "/".join(weights.split("/")[-2:])
    for published, its_width, name, count in _FILES:
        if width == its_width and published.search(folder_and_name):
            _require(section, name, count)
            return count
    return fsfm.HEADS.get(width) if section.weights_layout == "fsfm" else None


def require_recorded_heads(section: ModelSection, content: dict[str, Any], width: int) -> None:
    """Refuse another number of heads than that of the network that a checkpoint records to be of.

    Args:
        content: of the checkpoint's file; FSFM's and FS-VFM's have the network's name in `args`.
        width: D of the backbone that it was loaded into.

    Raises:
        RecipeError: the recipe has another; the message has the line that mends it.
    """
    network = str(getattr(content.get("args"), "model", ""))
    if fsfm.recorded_width(network) == width:
        _require(section, f"of the network {network} by its own record", fsfm.HEADS[width])


def _require(section: ModelSection, name: str, count: int) -> None:
    if section.num_heads not in (None, count):
        raise RecipeError(
            f"model.num_heads: {section.num_heads}; {section.weights} is {name}, trained with {count} "
            "heads: the features would be wrong without an error.",
            f"Set model.num_heads: {count}, or leave it out.",
        )
