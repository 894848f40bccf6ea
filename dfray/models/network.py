"""Network of a model section: the timm model, its pooling and its attention heads.

Neither can be told from the shapes of a file of weights. So both are stated before anything is loaded, by
the recipe, by the publisher of the weights or by timm, and what a pretrained network loses by another pooling
is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from timm.models import is_model_in_modules

from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError, did_you_mean
from dfray.models.checkpoint import by_module
from dfray.models.heads import published_heads
from dfray.models.initial_values import SkipDraws

_NO_CLASSES = 0


@dataclass(frozen=True)
class NetworkChanges:
    """What the network of a section has otherwise than the pretrained one that timm builds.

    Attributes:
        heads, own_heads: attention heads of a block, here and in timm's network; None: not one number.
        pool, own_pool: pooling; None: the network has no choice of it.
        lost: parameters of timm's network that are not used.
        gained: parameters that timm's network lacks; they have their random start.
    """

    heads: int | None
    own_heads: int | None
    pool: str | None
    own_pool: str | None
    lost: tuple[str, ...]
    gained: tuple[str, ...]

    @classmethod
    @cache
    def of(cls, section: ModelSection) -> NetworkChanges:
        """Compare the network of a section that states its pooling and heads with timm's, without values.

        Raises:
            RecipeError: as `create`.
        """
        own, here = _timm_network(section.backbone), _network(section)
        theirs, ours = ({name for name, _ in network.named_parameters()} for network in (own, here))
        return cls(
            heads=heads_of(here),
            own_heads=heads_of(own),
            pool=_pool_of(here),
            own_pool=_pool_of(own),
            lost=tuple(sorted(theirs - ours)),
            gained=tuple(sorted(ours - theirs)),
        )

    def lines(self) -> list[str]:
        """Return a line about the heads and one about the pooling, if the network has them."""
        lines = []
        if self.heads is not None:
            differs = f" (timm's has {self.own_heads})" if self.heads != self.own_heads else ""
            lines.append(f"{self.heads} attention heads{differs}")
        if self.pool != self.own_pool or self.lost or self.gained:
            keys = (("lost", self.lost), ("random start", self.gained))
            told = [f"{name}: {by_module(of)}" for name, of in keys if of]
            lines.append("; ".join([f"pool {self.pool} in place of timm's {self.own_pool}", *told]))
        elif self.heads is not None:
            lines.append(f"pool {self.pool}, as pretrained")
        return lines


def create(section: ModelSection, num_classes: int) -> Any:
    """Return the timm model at the section's size, with a fresh head, and timm's weights if it names them.

    Raises:
        RecipeError: no such backbone, or it does not support the size, pooling, heads or drop path.
        ModelFileError: timm's weights cannot be fetched.
    """
    backbone = _timm_model(
        section,
        num_classes,
        pretrained=section.weights == "timm",
        drop_path_rate=section.drop_path or None,  # timm drops None
        global_pool=section.pool or former_pool(section),
        num_heads=section.num_heads,
    )
    if hasattr(backbone, "set_input_size"):  # transformers are built for one size
        with _told(section):
            backbone.set_input_size(img_size=(section.size_px, section.size_px))
    return backbone


@cache
def stated(section: ModelSection) -> ModelSection:
    """Return `section` with the pooling and the heads of a plain ViT or CLIP stated, as a bundle keeps them.

    Those of other networks are timm's, and stay unstated.

    Raises:
        RecipeError: as `create`, or the recipe has other heads than the published file that it names.
    """
    own = _timm_network(section.backbone)
    published = published_heads(section, width=getattr(own, "embed_dim", 0))
    if not is_model_in_modules(section.backbone, ["vision_transformer"]):
        return section
    keeps_pool = section.weights is not None and section.weights_layout == "timm"
    pool = section.pool or (own.global_pool if keeps_pool else None)
    heads = section.num_heads or published
    return stored(section.model_copy(update={"pool": pool, "num_heads": heads}))


def stored(section: ModelSection) -> ModelSection:
    """Return the section of a stored bundle with its pooling and heads stated, if it left them out.

    Raises:
        RecipeError: as `create`.
    """
    if not is_model_in_modules(section.backbone, ["vision_transformer"]):
        return section
    own = _timm_network(section.backbone)
    pool = section.pool or former_pool(section) or own.global_pool
    heads = section.num_heads or heads_of(own)
    return section.model_copy(update={"pool": pool, "num_heads": heads})


def former_pool(section: ModelSection) -> str | None:
    """Return the pooling of a section without one that has no weights of its own, as any stored bundle.

    Before weights kept the pooling that they were trained with, it was that of every section: the mean of
    the patches for a plain ViT; None: timm's.
    """
    name = section.backbone
    is_plain = is_model_in_modules(name, ["vision_transformer"]) and "_clip_" not in name
    return "avg" if is_plain else None


def described(section: ModelSection) -> list[str]:
    """Return what a stored bundle's network is: backbone, size, heads, pooling, and what it lost by them.

    Raises:
        RecipeError: as `create`.
    """
    network = [f"{section.backbone}, {section.size_px} px"]
    section = stored(section)
    if section.weights:
        return network + NetworkChanges.of(section).lines()
    network += [f"{section.num_heads} attention heads"] if section.num_heads else []
    return network + ([f"pool {section.pool}"] if section.pool else [])


def heads_of(backbone: Any) -> int | None:
    """Return the attention heads of each block of a timm model; None: it has no blocks, or they differ."""
    blocks = getattr(backbone, "blocks", ())
    counts = {getattr(getattr(block, "attn", None), "num_heads", None) for block in blocks}
    return counts.pop() if len(counts) == 1 else None


@cache
def _timm_network(name: str) -> Any:
    """Return timm's own network, without a head and without values."""
    with torch.device("meta"), SkipDraws():
        return _timm_model(ModelSection(backbone=name), _NO_CLASSES)


def _network(section: ModelSection) -> Any:
    """Return the network of a section, without a head and without values."""
    with torch.device("meta"), SkipDraws():
        return create(section.without_weights(), _NO_CLASSES)


def _timm_model(section: ModelSection, num_classes: int, **options: Any) -> Any:
    _require_name(section.backbone)
    with _told(section):
        return timm.create_model(section.backbone, num_classes=num_classes, **options)


@contextmanager
def _told(section: ModelSection) -> Iterator[None]:
    """Raise timm's errors as those of the recipe's keys."""
    name = section.backbone
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"model.weights: timm's weights of {name} cannot be downloaded: {error}.",
            "Connect to the hub, set HF_HOME to a cache that holds them or HF_ENDPOINT to a mirror, give "
            "the path or URI of a copy, or leave model.weights out to start at random.",
        ) from error
    except (TypeError, AssertionError, RuntimeError, ValueError) as error:
        raise RecipeError(
            f"model.backbone: timm cannot build {name} with this section: {error}.",
            f"Check model.size_px ({section.size_px}), model.pool ({section.pool}), model.num_heads "
            f"({section.num_heads}) and model.drop_path ({section.drop_path}).",
        ) from error


def _pool_of(network: Any) -> str | None:
    pool = getattr(network, "global_pool", None)
    return pool if isinstance(pool, str) else None


def _require_name(name: str) -> None:
    if not timm.is_model(name):
        raise RecipeError(
            f"model.backbone: timm {timm.__version__} has no model {name!r}.",
            did_you_mean(name, timm.list_models(), limit=3, cutoff=0.5)
            or "See timm.list_models().",
        )
