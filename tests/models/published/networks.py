"""timm's networks of published detectors, narrow and of two blocks, under names of their own."""

from __future__ import annotations

from typing import Any

import timm
from timm.models import register_model

NARROW = {"embed_dim": 64, "depth": 2, "num_heads": 4}


@register_model
def narrow_clip_l(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_large_patch14_clip_quickgelu_224", **NARROW | options)


@register_model
def narrow_clip_b(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_base_patch16_clip_quickgelu_224", **NARROW | options)


@register_model
def narrow_pe(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_pe_core_large_patch14_336", **NARROW | options)


@register_model
def narrow_dinov3(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_large_patch16_dinov3_qkvb", **NARROW | options)
