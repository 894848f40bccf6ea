"""Vision transformers of CLIP, DINOv3 and the Perception Encoder, by their definitions, in torch functions.

Weights are those of the published files, by the published names, at any width and depth: `draw_...` draws
them, `..._features` computes the embedding. Nothing is shared with timm or with Hugging Face's code.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


class Draw:
    """Random tensors of a size at which every part of a network is felt."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, std: float = 0.3) -> Tensor:
        return torch.randn(shape, generator=self.generator) * std

    def linear(self, name: str, rows: int, columns: int, bias: bool = True) -> Weights:
        made = {f"{name}.weight": self(rows, columns, std=columns**-0.5)}
        return made | ({f"{name}.bias": self(rows)} if bias else {})

    def norm(self, name: str, dim: int) -> Weights:
        return {f"{name}.weight": 1 + self(dim), f"{name}.bias": self(dim)}


def clip_weights(draw: Draw, dim: int, depth: int, patch: int, grid: int) -> Weights:
    """What a CLIPVisionTransformer holds."""
    weights = {
        "embeddings.class_embedding": draw(dim),
        "embeddings.patch_embedding.weight": draw(dim, 3, patch, patch, std=1 / patch),
        "embeddings.position_embedding.weight": draw(grid * grid + 1, dim),
        **draw.norm("pre_layrnorm", dim),
        **draw.norm("post_layernorm", dim),
    }
    for number in range(depth):
        layer = f"encoder.layers.{number}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights |= draw.linear(f"{layer}.self_attn.{name}", dim, dim)
        weights |= draw.norm(f"{layer}.layer_norm1", dim) | draw.norm(f"{layer}.layer_norm2", dim)
        weights |= draw.linear(f"{layer}.mlp.fc1", 4 * dim, dim)
        weights |= draw.linear(f"{layer}.mlp.fc2", dim, 4 * dim)
    return weights


def clip_features(weights: Weights, images: Tensor, heads: int) -> Tensor:
    """(B, 3, S, S) -> (B, D): the class token after the last norm; QuickGELU (arXiv 2103.00020)."""
    tokens = _patches(images, weights["embeddings.patch_embedding.weight"])
    first = weights["embeddings.class_embedding"].expand(len(images), 1, -1)
    tokens = torch.cat([first, tokens], 1) + weights["embeddings.position_embedding.weight"]
    tokens = _norm(weights, "pre_layrnorm", tokens)
    for number in range(_depth(weights, "encoder.layers.", 2)):
        layer = f"encoder.layers.{number}"
        normed = _norm(weights, f"{layer}.layer_norm1", tokens)
        q, k, v = (
            _linear(weights, f"{layer}.self_attn.{name}", normed)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        mixed = _attend(q, k, v, heads)
        tokens = tokens + _linear(weights, f"{layer}.self_attn.out_proj", mixed)
        hidden = _linear(
            weights, f"{layer}.mlp.fc1", _norm(weights, f"{layer}.layer_norm2", tokens)
        )
        tokens = tokens + _linear(
            weights, f"{layer}.mlp.fc2", hidden * torch.sigmoid(1.702 * hidden)
        )
    return _norm(weights, "post_layernorm", tokens[:, 0])


def dinov3_weights(draw: Draw, dim: int, depth: int) -> Weights:
    """What a DINOv3ViTModel holds: keys have no bias."""
    weights = {
        "embeddings.cls_token": draw(1, 1, dim),
        "embeddings.mask_token": draw(1, 1, dim),
        "embeddings.register_tokens": draw(1, 4, dim),
        "embeddings.patch_embeddings.weight": draw(dim, 3, 16, 16, std=1 / 16),
        "embeddings.patch_embeddings.bias": draw(dim),
        **draw.norm("norm", dim),
    }
    for number in range(depth):
        layer = f"layer.{number}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights |= draw.linear(f"{layer}.attention.{name}", dim, dim, bias=name != "k_proj")
        weights |= draw.norm(f"{layer}.norm1", dim) | draw.norm(f"{layer}.norm2", dim)
        weights |= {f"{layer}.layer_scale{n}.lambda1": draw(dim) for n in (1, 2)}
        weights |= draw.linear(f"{layer}.mlp.up_proj", 4 * dim, dim)
        weights |= draw.linear(f"{layer}.mlp.down_proj", dim, 4 * dim)
    return weights


def dinov3_features(weights: Weights, images: Tensor, heads: int) -> Tensor:
    """(B, 3, S, S) -> (B, D): the class token after the last norm (arXiv 2508.10104)."""
    tokens = _patches(
        images,
        weights["embeddings.patch_embeddings.weight"],
        weights["embeddings.patch_embeddings.bias"],
    )
    grid, dim = math.isqrt(tokens.shape[1]), tokens.shape[2]
    centres = (torch.arange(grid) + 0.5) / grid * 2 - 1
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    frequencies = 1 / 100 ** (torch.arange(dim // heads // 4) * 4 / (dim // heads))
    at = torch.stack([rows.flatten(), columns.flatten()], 1)
    half = (2 * math.pi * at[:, :, None] * frequencies).flatten(1)
    prefix = [weights["embeddings.cls_token"], weights["embeddings.register_tokens"]]
    tokens = torch.cat([*(p.expand(len(images), -1, -1) for p in prefix), tokens], 1)
    for number in range(_depth(weights, "layer.", 1)):
        layer = f"layer.{number}"
        normed = _norm(weights, f"{layer}.norm1", tokens)
        q = _linear(weights, f"{layer}.attention.q_proj", normed)
        k = normed @ weights[f"{layer}.attention.k_proj.weight"].T
        v = _linear(weights, f"{layer}.attention.v_proj", normed)
        mixed = _attend(q, k, v, heads, lambda x: _turn_halves(x, half, 5))
        mixed = _linear(weights, f"{layer}.attention.o_proj", mixed)
        tokens = tokens + mixed * weights[f"{layer}.layer_scale1.lambda1"]
        hidden = _linear(weights, f"{layer}.mlp.up_proj", _norm(weights, f"{layer}.norm2", tokens))
        hidden = _linear(weights, f"{layer}.mlp.down_proj", F.gelu(hidden))
        tokens = tokens + hidden * weights[f"{layer}.layer_scale2.lambda1"]
    return _norm(weights, "norm", tokens[:, 0])


def perception_weights(draw: Draw, dim: int, depth: int) -> Weights:
    """What timm's Perception Encoder L/14 of 336 px holds, without a head."""
    weights = {
        "cls_token": draw(1, 1, dim),
        "pos_embed": draw(1, 24 * 24 + 1, dim),
        "patch_embed.proj.weight": draw(dim, 3, 14, 14, std=1 / 14),
        **draw.norm("norm_pre", dim),
        **draw.norm("norm", dim),
        "attn_pool.latent": draw(1, 1, dim),
        **draw.linear("attn_pool.q", dim, dim),
        **draw.linear("attn_pool.kv", 2 * dim, dim),
        **draw.linear("attn_pool.proj", dim, dim),
        **draw.norm("attn_pool.norm", dim),
        **draw.linear("attn_pool.mlp.fc1", 4 * dim, dim),
        **draw.linear("attn_pool.mlp.fc2", dim, 4 * dim),
    }
    for number in range(depth):
        block = f"blocks.{number}"
        weights |= draw.linear(f"{block}.attn.qkv", 3 * dim, dim)
        weights |= draw.linear(f"{block}.attn.proj", dim, dim)
        weights |= draw.norm(f"{block}.norm1", dim) | draw.norm(f"{block}.norm2", dim)
        weights |= draw.linear(f"{block}.mlp.fc1", 4 * dim, dim)
        weights |= draw.linear(f"{block}.mlp.fc2", dim, 4 * dim)
    return weights


def perception_features(weights: Weights, images: Tensor, heads: int) -> Tensor:
    """(B, 3, 224, 224) -> (B, D): attention pooling (arXiv 2504.13181), positions fitted from 24 to 16."""
    tokens = _patches(images, weights["patch_embed.proj.weight"])
    dim = tokens.shape[2]
    table = weights["pos_embed"][:, 1:].reshape(1, 24, 24, dim).permute(0, 3, 1, 2)
    fitted = F.interpolate(table, size=(16, 16), mode="bicubic", antialias=True)
    positions = torch.cat([weights["pos_embed"][:, :1], fitted.flatten(2).transpose(1, 2)], 1)
    first = weights["cls_token"].expand(len(images), -1, -1)
    tokens = _norm(weights, "norm_pre", torch.cat([first, tokens], 1) + positions)
    place = (torch.arange(16) + 1.0) * 24 / 16
    rows, columns = (x.flatten() for x in torch.meshgrid(place, place, indexing="ij"))
    frequencies = 1 / 10000 ** (torch.arange(dim // heads // 4) * 4 / (dim // heads))
    angles = torch.cat([columns[:, None] * frequencies, rows[:, None] * frequencies], 1)
    for number in range(_depth(weights, "blocks.", 1)):
        block = f"blocks.{number}"
        qkv = _linear(weights, f"{block}.attn.qkv", _norm(weights, f"{block}.norm1", tokens))
        mixed = _attend(*qkv.chunk(3, dim=-1), heads, lambda x: _turn_pairs(x, angles, 1))
        tokens = tokens + _linear(weights, f"{block}.attn.proj", mixed)
        hidden = _linear(weights, f"{block}.mlp.fc1", _norm(weights, f"{block}.norm2", tokens))
        tokens = tokens + _linear(weights, f"{block}.mlp.fc2", F.gelu(hidden))
    tokens = _norm(weights, "norm", tokens)
    query = _linear(weights, "attn_pool.q", weights["attn_pool.latent"].expand(len(images), -1, -1))
    k, v = _linear(weights, "attn_pool.kv", tokens).chunk(2, dim=-1)
    pooled = _linear(weights, "attn_pool.proj", _attend(query, k, v, 8))
    hidden = _linear(weights, "attn_pool.mlp.fc1", _norm(weights, "attn_pool.norm", pooled))
    return (pooled + _linear(weights, "attn_pool.mlp.fc2", F.gelu(hidden)))[:, 0]


def _patches(images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(images, weight, bias, stride=weight.shape[-1]).flatten(2).transpose(1, 2)


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = centred / torch.sqrt((centred**2).mean(dim=-1, keepdim=True) + 1e-5)
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, turn=lambda x: x) -> Tensor:
    """Softmax attention of each head; `turn` places queries and keys, (B, heads, N, D / heads)."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = turn(q) @ turn(k).transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)


def _turn_halves(x: Tensor, angles: Tensor, prefix: int) -> Tensor:
    """Turn element i with element i + D/2 by angle i; the first `prefix` tokens stay."""
    low, high = x[:, :, prefix:].chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    turned = torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)
    return torch.cat([x[:, :, :prefix], turned], dim=2)


def _turn_pairs(x: Tensor, angles: Tensor, prefix: int) -> Tensor:
    """Turn element 2i with element 2i + 1 by angle i; the first `prefix` tokens stay."""
    even, odd = x[:, :, prefix:, 0::2], x[:, :, prefix:, 1::2]
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)
    return torch.cat([x[:, :, :prefix], turned], dim=2)


def _depth(weights: Weights, start: str, at: int) -> int:
    return 1 + max(int(name.split(".")[at]) for name in weights if name.startswith(start))
