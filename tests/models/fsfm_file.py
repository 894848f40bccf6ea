"""Checkpoints of the layout that FSFM publishes, written from its description and not from our loader."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import torch
from torch import Tensor


def vit_block(name: str, dim: int) -> dict[str, tuple[int, ...]]:
    """Shapes of one transformer block's weights."""
    return {
        f"{name}.norm1.weight": (dim,),
        f"{name}.norm1.bias": (dim,),
        f"{name}.attn.qkv.weight": (3 * dim, dim),
        f"{name}.attn.qkv.bias": (3 * dim,),
        f"{name}.attn.proj.weight": (dim, dim),
        f"{name}.attn.proj.bias": (dim,),
        f"{name}.norm2.weight": (dim,),
        f"{name}.norm2.bias": (dim,),
        f"{name}.mlp.fc1.weight": (4 * dim, dim),
        f"{name}.mlp.fc1.bias": (4 * dim,),
        f"{name}.mlp.fc2.weight": (dim, 4 * dim),
        f"{name}.mlp.fc2.bias": (dim,),
    }


def encoder_shapes(dim: int, depth: int, grid: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, 1 + grid * grid, dim),
        "patch_embed.proj.weight": (dim, 3, 16, 16),
        "patch_embed.proj.bias": (dim,),
    }
    for number in range(depth):
        shapes |= vit_block(f"blocks.{number}", dim)
    return shapes


def pretraining_shapes(dim: int, grid: int, narrow: int = 8) -> dict[str, tuple[int, ...]]:
    """What fine-tuning has no use for: 149 keys, narrower than the published ones."""
    shapes: dict[str, tuple[int, ...]] = {"norm.weight": (dim,), "norm.bias": (dim,)}
    shapes["mask_token"] = (1, 1, dim)
    for prefix, depth in (("rep_decoder", 2), ("decoder", 8)):
        shapes |= {
            f"{prefix}_pos_embed": (1, 1 + grid * grid, narrow),
            f"{prefix}_embed.weight": (narrow, dim),
            f"{prefix}_embed.bias": (narrow,),
            f"{prefix}_norm.weight": (narrow,),
            f"{prefix}_norm.bias": (narrow,),
            f"{prefix}_pred.weight": (dim, narrow),
            f"{prefix}_pred.bias": (dim,),
        }
        for number in range(depth):
            shapes |= vit_block(f"{prefix}_blocks.{number}", narrow)
    for head in ("projector", "predictor"):
        for layer, shape in ((0, (narrow, narrow)), (1, (narrow,)), (3, (narrow, narrow))):
            shapes[f"{head}.projection_head.{layer}.weight"] = shape
            shapes[f"{head}.projection_head.{layer}.bias"] = (narrow,)
    return shapes


def encoder_weights(dim: int = 192, depth: int = 12, grid: int = 14) -> dict[str, Tensor]:
    """Random weights of an encoder, of a size at which every part of it is felt."""
    generator = torch.Generator().manual_seed(3)
    weights = {
        name: torch.randn(shape, generator=generator) * (0.5 if len(shape) == 1 else 0.05)
        for name, shape in encoder_shapes(dim, depth, grid).items()
    }
    for name, value in weights.items():
        if ".norm" in name and name.endswith("weight"):
            value += 1
    return weights


def checkpoint_of(weights: dict[str, Tensor]) -> dict[str, Any]:
    """The whole content of a published file: the encoder among all that pre-training kept."""
    grid = int((weights["pos_embed"].shape[1] - 1) ** 0.5)
    rest = pretraining_shapes(weights["cls_token"].shape[-1], grid)
    moments = {"step": torch.tensor(7.0), "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
    return {
        "model": weights | {name: torch.randn(shape) for name, shape in rest.items()},
        "optimizer": {"state": {0: moments}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
        "epoch": 400,
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 3},
        "args": Namespace(model="fsfm_vit_base_patch16", mask_ratio=0.75, data_path="VGG-Face2"),
    }
