"""Targets are ends of names of linear layers; one that names none is refused with the nearest."""

from __future__ import annotations

import pytest
import torch

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.tuning.targets import linear_targets


def targets(backbone: str = "test_vit", *chosen: str) -> list[str]:
    with torch.device("meta"), SkipDraws():
        built = build_detector(ModelSection(backbone=backbone), 2).backbone
    return linear_targets(
        built, ModelSection(backbone=backbone, tuning="lora", tuning_targets=chosen or None)
    )


@pytest.mark.parametrize(
    "backbone",
    [
        "test_vit",
        "vit_small_patch16_dinov3",
        "vit_pe_core_tiny_patch16_384",
        "vit_base_patch16_siglip_224",
    ],
)
def test_they_are_the_projections_of_all_attention_layers_of_the_blocks(backbone):
    found = targets(backbone)
    blocks = {name.split(".")[1] for name in found}
    assert len(found) == 2 * len(blocks) >= 12
    assert {name.partition(".attn.")[2] for name in found} == {"qkv", "proj"}


def test_a_target_is_an_end_at_a_dot():
    assert targets("test_vit", "blocks.0.attn.qkv") == ["blocks.0.attn.qkv"]
    assert targets("test_vit", "proj") == targets(
        "test_vit", "attn.proj"
    )  # patch_embed's is no linear layer
    assert len(targets("test_vit", "fc1", "mlp.fc2")) == 12


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (("qkv", "attn.qvk"), r"no linear layer 'attn.qvk'.*Did you mean attn.qkv"),
        (("c1",), r"no linear layer 'c1'.*Did you mean.*fc1|It has attn.qkv"),
        (("patch_embed.proj",), r"patch_embed.proj is a Conv2d.*attn.proj"),
        (("head",), r"no linear layer 'head' below its head"),
    ],
)
def test_one_that_names_none_is_refused_with_the_nearest(chosen, words):
    with pytest.raises(RecipeError, match=words):
        targets("test_vit", *chosen)


def test_a_network_without_attention_asks_for_names():
    with pytest.raises(RecipeError, match="convnext_tiny has no attention layer.*mlp.fc1"):
        targets("convnext_tiny")
