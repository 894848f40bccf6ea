"""Hugging Face's names of the vision transformers of CLIP and DINOv3, for the parameters of timm's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from torch import Tensor

from dfray.models.published.layout import Source, stacked

_CLIP = {
    "patch_embed.proj": "embeddings.patch_embedding",
    "norm_pre": "pre_layrnorm",
    "norm": "post_layernorm",
}
_CLIP_BLOCK = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_DINOV3 = {"patch_embed.proj": "embeddings.patch_embeddings", "norm": "norm"}
_DINOV3_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.up_proj",
    "mlp.fc2": "mlp.down_proj",
}
_DINOV3_SINGLE = {
    "attn.q_bias": "attention.q_proj.bias",
    "attn.v_bias": "attention.v_proj.bias",
    "gamma_1": "layer_scale1.lambda1",
    "gamma_2": "layer_scale2.lambda1",
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
_QKV = ("q_proj", "k_proj", "v_proj")


def weight_of(linear: str) -> Source:
    """Return the weight of a linear layer as most files hold it, in one tensor."""
    return Source((f"{linear}.weight",))


def clip_sources(
    parameters: Iterable[str],
    encoder: str,
    head: str,
    attention_weight: Callable[[str], Source] = weight_of,
) -> dict[str, Source]:
    """Return the sources of a timm CLIP with a head, in a file with a CLIPVisionTransformer.

    Args:
        parameters: of the timm network.
        encoder, head: what the file's names of the encoder and of the head begin with.
        attention_weight: name of a linear layer of an attention -> what its weight is made of.
    """

    def source(parameter: str) -> Source:
        if parameter == "cls_token":
            return Source((f"{encoder}embeddings.class_embedding",), _as_token)
        if parameter == "pos_embed":
            return Source((f"{encoder}embeddings.position_embedding.weight",), _as_batch)
        module, _, kind = parameter.rpartition(".")
        if module == "head":
            return Source((f"{head}{kind}",))
        if not (block := _BLOCK.fullmatch(module)):
            return Source((f"{encoder}{_CLIP[module]}.{kind}",))
        number, inner = block.groups()
        layer = f"{encoder}encoder.layers.{number}"
        if inner not in ("attn.qkv", "attn.proj"):
            return Source((f"{layer}.{_CLIP_BLOCK[inner]}.{kind}",))
        names = _QKV if inner == "attn.qkv" else ("out_proj",)
        linears = [f"{layer}.self_attn.{name}" for name in names]
        if kind == "weight":
            return stacked(*map(attention_weight, linears))
        return stacked(*(Source((f"{linear}.bias",)) for linear in linears))

    return {parameter: source(parameter) for parameter in parameters}


def dinov3_sources(parameters: Iterable[str], encoder: str, head: str) -> dict[str, Source]:
    """Return the sources of a timm DINOv3 with biases of queries and values, in a file with a DINOv3ViTModel.

    Args: as `clip_sources`.
    """

    def source(parameter: str) -> Source:
        if parameter == "cls_token":
            return Source((f"{encoder}embeddings.cls_token",))
        if parameter == "reg_token":
            return Source((f"{encoder}embeddings.register_tokens",))
        if block := _BLOCK.fullmatch(parameter):
            return _dinov3_block(f"{encoder}layer.{block[1]}", block[2])
        module, _, kind = parameter.rpartition(".")
        if module == "head":
            return Source((f"{head}{kind}",))
        return Source((f"{encoder}{_DINOV3[module]}.{kind}",))

    return {parameter: source(parameter) for parameter in parameters}


def _dinov3_block(layer: str, inner: str) -> Source:
    """Return the source of a parameter inside a block."""
    if inner in _DINOV3_SINGLE:
        return Source((f"{layer}.{_DINOV3_SINGLE[inner]}",))
    if inner == "attn.qkv.weight":
        return stacked(*(weight_of(f"{layer}.attention.{name}") for name in _QKV))
    module, _, kind = inner.rpartition(".")
    return Source((f"{layer}.{_DINOV3_BLOCK[module]}.{kind}",))


def _as_token(vector: Tensor) -> Tensor:
    """(D,) -> (1, 1, D)."""
    return vector[None, None]


def _as_batch(table: Tensor) -> Tensor:
    """(N, D) -> (1, N, D)."""
    return table[None]
