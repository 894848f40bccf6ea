"""A vision transformer from its definition (arXiv 2010.11929 section 3.1), in torch functions only.

The tests hold timm's models against it, so it shares nothing with them but the names of the weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def tokens_of(
    weights: dict[str, Tensor],
    images: Tensor,
    *,
    heads: int,
    eps: float = 1e-6,
    activation=F.gelu,
) -> Tensor:
    """(B, 3, S, S) -> (B, 1 + N, D), class token first, after the last block and before any last norm."""
    patches = F.conv2d(
        images,
        weights["patch_embed.proj.weight"],
        weights.get("patch_embed.proj.bias"),
        stride=weights["patch_embed.proj.weight"].shape[-1],
    )
    tokens = patches.flatten(2).transpose(1, 2)
    first = weights["cls_token"].expand(len(images), -1, -1)
    tokens = torch.cat([first, tokens], dim=1) + weights["pos_embed"]
    if "norm_pre.weight" in weights:
        tokens = norm(weights, "norm_pre", tokens, eps)
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    for number in range(depth):
        block = f"blocks.{number}"
        normed = norm(weights, f"{block}.norm1", tokens, eps)
        tokens = tokens + attention(weights, f"{block}.attn", normed, heads)
        normed = norm(weights, f"{block}.norm2", tokens, eps)
        hidden = activation(linear(weights, f"{block}.mlp.fc1", normed))
        tokens = tokens + linear(weights, f"{block}.mlp.fc2", hidden)
    return tokens


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI CLIP's activation."""
    return x * torch.sigmoid(1.702 * x)


def linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(weights: dict[str, Tensor], name: str, x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    normed = centred / torch.sqrt(variance + eps)
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attention(weights: dict[str, Tensor], name: str, tokens: Tensor, heads: int) -> Tensor:
    batch, count, dim = tokens.shape
    qkv = linear(weights, f"{name}.qkv", tokens)
    q, k, v = (part.view(batch, count, heads, -1).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    scores = (q @ k.transpose(-1, -2) / (dim // heads) ** 0.5).softmax(dim=-1)
    mixed = (scores @ v).transpose(1, 2).reshape(batch, count, dim)
    return linear(weights, f"{name}.proj", mixed)
