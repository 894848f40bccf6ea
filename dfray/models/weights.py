"""Initial weights of a backbone: the file that a recipe names, its normalisation and its licence.

To add the layout of another publisher's checkpoints, write a module like `dfray.models.fsfm` with the members
of `WeightsLayout`, and add it to LAYOUTS here and to `model.weights_layout` in dfray/config/model.py. timm's
layout, and those that timm converts, such as OpenAI's CLIP, need nothing.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Protocol

import timm
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import clean_state_dict, model_entrypoint

from dfray.config import Deviations, Levels, ModelSection
from dfray.errors import ModelFileError, RecipeError
from dfray.models import fsfm
from dfray.models.checkpoint import LoadedWeights, load_exactly, on_grid, read_checkpoint
from dfray.models.heads import require_recorded_heads
from dfray.models.network import stated
from dfray.models.sources import complete, local_file
from dfray.storage import absolute


class WeightsLayout(Protocol):
    """Members of a module that reads one publisher's checkpoints."""

    DEFAULT_FILE: str
    """Path in the publisher's repository, for a URI without a path."""
    LICENCE: str

    def load(self, backbone: Any, content: dict[str, Any], source: str) -> LoadedWeights:
        """Load the checkpoint `content` into a timm model, in place, with every key accounted for."""

    def mean_and_std(self, uri: str) -> tuple[Levels, Deviations]:
        """Return mean and standard deviation of RGB in 0..1 of the checkpoint at `uri`."""


LAYOUTS: dict[str, WeightsLayout] = {"fsfm": fsfm}
"""`model.weights_layout` -> module; timm's own layout is read here."""
_POOLING_MODULES = ("norm", "fc_norm", "attn_pool")  # unused if the backbone pools in another way


def load_weights(backbone: Any, section: ModelSection) -> LoadedWeights | None:
    """Load the file that `section.weights` names into the timm model, in place; None if it names no file.

    Raises:
        ModelFileError: it cannot be fetched, read without running code, or loaded key by key.
        RecipeError: it records another number of attention heads than the recipe has.
    """
    uri = _file(section)
    if uri is None:
        return None
    with local_file(uri) as path:
        content = read_checkpoint(path, uri)
        if layout := LAYOUTS.get(section.weights_layout):
            loaded = layout.load(backbone, content, uri)
        else:
            loaded = _load_timm(backbone, section.backbone, content, uri)
        require_recorded_heads(section, content, width=getattr(backbone, "embed_dim", 0))
    return loaded


def normalisation(section: ModelSection) -> tuple[Levels, Deviations]:
    """Return mean and standard deviation of RGB in 0..1, the recipe's if set, else those of its weights.

    Raises:
        ModelFileError: they are in a file of the weights' folder that cannot be read.
    """
    if section.mean and section.std:
        return section.mean, section.std
    if section.weights is None:
        mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    elif layout := LAYOUTS.get(section.weights_layout):
        mean, std = layout.mean_and_std(_file(section) or "")
    else:
        published = timm.get_pretrained_cfg(section.backbone)
        mean, std = published.mean, published.std
    return section.mean or mean, section.std or std


def weights_licence(section: ModelSection) -> str | None:
    """Return the licence's name; None: unknown. A model trained from scratch has no licence of weights."""
    if section.weights is None:
        return "none: trained from scratch"
    if layout := LAYOUTS.get(section.weights_layout):
        return layout.LICENCE
    if section.weights != "timm":
        return None
    published = timm.get_pretrained_cfg(section.backbone)
    stated = published.license if published else None
    return f"{stated}, as timm states it" if stated else None


def resolve(section: ModelSection) -> ModelSection:
    """Return `section` for processes on other nodes: the path absolute, all that weights decide stated.

    Raises:
        ModelFileError: as `normalisation`.
        RecipeError: as `stated`.
    """
    section = stated(section)
    mean, std = normalisation(section)
    uri = _file(section)
    weights = section.weights if uri is None else absolute(uri)
    return section.model_copy(update={"weights": weights, "mean": mean, "std": std})


def require_activation(section: ModelSection) -> None:
    """Refuse weights that were trained with QuickGELU in a backbone that computes GELU.

    Raises:
        RecipeError: they were; the message names the backbone to use.
    """
    arch, _, tag = section.backbone.partition(".")
    if section.weights is None or "quickgelu" in arch:
        return
    names = [section.backbone] if tag or section.weights == "timm" else []
    folders = section.weights.split("/")
    names += [folder for folder in folders if folder.startswith("vit_") and "." in folder]
    for name in names:
        published = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
        if published and any("quickgelu" in note.lower() for note in published.notes or ()):
            quickgelu = arch.replace("_clip_", "_clip_quickgelu_")
            raise RecipeError(
                f"model.backbone: {section.backbone} computes GELU, and the weights {name} were trained "
                "with QuickGELU: the features would be wrong without an error.",
                f"Use {quickgelu}.{published.tag}.",
            )


def _file(section: ModelSection) -> str | None:
    """Return the URI of the file of weights; None for a random start or timm's weights."""
    if section.weights in (None, "timm"):
        return None
    layout = LAYOUTS.get(section.weights_layout)
    return complete(str(section.weights), layout.DEFAULT_FILE if layout else "model.safetensors")


def _load_timm(backbone: Any, name: str, content: dict[str, Any], source: str) -> LoadedWeights:
    """Load a file in timm's layout, or one that timm converts, such as OpenAI's CLIP; the head is fresh."""
    for wrapper in ("state_dict", "model"):
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    family = sys.modules[model_entrypoint(name).__module__]
    convert = getattr(family, "checkpoint_filter_fn", lambda tensors, _: tensors)
    try:
        tensors = convert(clean_state_dict(content), backbone)
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelFileError(
            f"{source} is no checkpoint of {name}: {type(error).__name__}: {error}.",
            "Check model.backbone against the checkpoint.",
        ) from error
    state = backbone.state_dict()
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    if grid and "pos_embed" in state.keys() & tensors.keys():
        # timm fits those of some layouts alone
        n_prefix = len(state["pos_embed"][0]) - math.prod(grid)
        tensors["pos_embed"] = on_grid(tensors["pos_embed"], grid, n_prefix)
    heads, pooling = _classifiers(backbone), _prefixes(_POOLING_MODULES)
    ignored = tuple(
        key
        for key in tensors
        if key.startswith(heads) or (key not in state and key.startswith(pooling))
    )
    optional = tuple(
        key
        for key in state
        if key not in tensors
        and (key.startswith("fc_norm.") or key.endswith("num_batches_tracked"))
    )
    fresh = tuple(key for key in state if key.startswith(heads)) + optional
    loaded = {key: value for key, value in tensors.items() if key not in ignored}
    load_exactly(backbone, loaded, fresh, source)
    return LoadedWeights(source, ignored, fresh)


def _classifiers(backbone: Any) -> tuple[str, ...]:
    """Return prefixes of the classifier's keys: the backbone's, and those of the weights timm publishes."""
    head = backbone.get_classifier()
    names = [name for name, module in backbone.named_modules() if module is head]
    published = backbone.pretrained_cfg.get("classifier") or ()
    return _prefixes([*names, *([published] if isinstance(published, str) else published)])


def _prefixes(names: Any) -> tuple[str, ...]:
    return tuple(f"{name}." for name in names)
