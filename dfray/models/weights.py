"""How a backbone starts: the weights that a recipe names, and the normalisation they were trained with."""

from __future__ import annotations

import sys
from typing import Any

import timm
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import clean_state_dict, model_entrypoint

from dfray.config import Deviations, Levels, ModelSection
from dfray.errors import ModelFileError, RecipeError
from dfray.models import fsfm
from dfray.models.checkpoint import Loaded, load_exactly, read_checkpoint
from dfray.models.sources import complete, local_file
from dfray.storage import absolute

_HEAD_SIDE = ("norm", "fc_norm", "attn_pool")  # what pooling another way leaves over


def load_weights(backbone: Any, section: ModelSection) -> Loaded | None:
    """Load the file that `section.weights` names into the timm model, in place; none if it names none.

    Raises:
        ModelFileError: it cannot be had, read without running code, or loaded key by key.
    """
    uri = _file(section)
    if uri is None:
        return None
    with local_file(uri) as path:
        content = read_checkpoint(path, uri)
        if section.weights_layout == "fsfm":
            return fsfm.load_encoder(backbone, content, uri)
        return _load_timm(backbone, section.backbone, content, uri)


def normalisation(section: ModelSection) -> tuple[Levels, Deviations]:
    """Mean and standard deviation of RGB in 0..1, the recipe's own before those of its weights.

    Raises:
        ModelFileError: they lie beside the weights and cannot be read.
    """
    if section.mean and section.std:
        return section.mean, section.std
    if section.weights is None:
        mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    elif section.weights_layout == "fsfm":
        mean, std = fsfm.mean_and_std(_file(section) or "")
    else:
        published = timm.get_pretrained_cfg(section.backbone)
        mean, std = published.mean, published.std
    return section.mean or mean, section.std or std


def resolve(section: ModelSection) -> ModelSection:
    """`section` for processes elsewhere: a local path made absolute, mean and std those of the weights.

    Raises:
        ModelFileError: as `normalisation`.
    """
    mean, std = normalisation(section)
    uri = _file(section)
    weights = section.weights if uri is None else absolute(uri)
    return section.model_copy(update={"weights": weights, "mean": mean, "std": std})


def require_activation(section: ModelSection) -> None:
    """Refuse weights that were trained with QuickGELU in a backbone that computes GELU.

    Raises:
        RecipeError: they are such; the backbone to use is named.
    """
    arch, _, tag = section.backbone.partition(".")
    if section.weights is None or "quickgelu" in arch:
        return
    names = [section.backbone] if tag or section.weights == "timm" else []
    names += [
        part for part in section.weights.split("/") if part.startswith("vit_") and "." in part
    ]
    for name in names:
        published = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
        if published and any("quickgelu" in note.lower() for note in published.notes or ()):
            quickgelu = arch.replace("_clip_", "_clip_quickgelu_")
            raise RecipeError(
                f"model.backbone: {section.backbone} computes GELU, and the weights {name} were trained "
                "with QuickGELU: the features would be off without a word.",
                f"Use {quickgelu}.{published.tag}.",
            )


def _file(section: ModelSection) -> str | None:
    """The URI of the file of weights; none for a random start or timm's own."""
    if section.weights in (None, "timm"):
        return None
    default = fsfm.DEFAULT_FILE if section.weights_layout == "fsfm" else "model.safetensors"
    return complete(str(section.weights), default)


def _load_timm(backbone: Any, name: str, content: dict[str, Any], source: str) -> Loaded:
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
    there = backbone.state_dict()
    heads = _classifiers(backbone)
    ignored = tuple(
        key
        for key in tensors
        if key.startswith(heads) or (key not in there and key.startswith(_prefixes(_HEAD_SIDE)))
    )
    optional = tuple(
        key
        for key in there
        if key not in tensors
        and (key.startswith("fc_norm.") or key.endswith("num_batches_tracked"))
    )
    fresh = tuple(key for key in there if key.startswith(heads)) + optional
    kept = {key: value for key, value in tensors.items() if key not in ignored}
    load_exactly(backbone, kept, fresh, source)
    return Loaded(source, ignored, fresh)


def _classifiers(backbone: Any) -> tuple[str, ...]:
    """Prefixes of the classifier's keys: the backbone's own, and those of the weights timm publishes."""
    head = backbone.get_classifier()
    own = [name for name, module in backbone.named_modules() if module is head]
    published = backbone.pretrained_cfg.get("classifier") or ()
    return _prefixes([*own, *([published] if isinstance(published, str) else published)])


def _prefixes(names: Any) -> tuple[str, ...]:
    return tuple(f"{name}." for name in names)
