"""The layouts of published checkpoints: a module for each, registered in one place, or converted by timm."""

from typing import get_args

import pytest
import timm
import torch

from dfray.config import ModelSection
from dfray.errors import ModelFileError
from dfray.models.weights import LAYOUTS, weights_licence
from tests.models.test_weights import detector_from, openai_name, published, shared_weights


def test_every_layout_that_a_recipe_can_name_has_a_module():
    names = get_args(ModelSection.model_fields["weights_layout"].annotation)
    assert {*LAYOUTS, "timm"} == set(names)


def test_a_layout_states_its_default_file_and_its_licence():
    for name, layout in LAYOUTS.items():
        section = ModelSection(weights="hf://owner/repo", weights_layout=name)
        assert weights_licence(section) == layout.LICENCE
        assert layout.DEFAULT_FILE


def test_metas_own_layout_of_dinov3_is_converted_with_its_biases(tmp_path):
    name = "vit_tiny_patch16_dinov3_qkvb"
    weights = published(name, num_classes=0)
    theirs = {"mask_token": torch.zeros(1, 192), "rope_embed.periods": torch.ones(16)}
    for key, value in weights.items():
        if key.endswith("attn.q_bias"):
            parts = (value, torch.zeros_like(value), weights[key.replace("q_bias", "v_bias")])
            theirs[key.replace("q_bias", "qkv.bias")] = torch.cat(parts)
            theirs[key.replace("q_bias", "qkv.bias_mask")] = torch.ones(3 * len(value))
        elif not key.endswith("attn.v_bias"):
            theirs[_metas_name(key)] = value
    torch.save(theirs, tmp_path / "dinov3.pth")
    detector = detector_from(tmp_path / "dinov3.pth", name, size_px=64, pool="token")
    assert shared_weights(detector, weights) == set(weights)


@pytest.mark.parametrize("size_px", [384, 192])
def test_metas_own_layout_of_perception_encoder_is_converted_with_its_pooling(tmp_path, size_px):
    name = "vit_pe_core_tiny_patch16_384"
    weights = published(name)
    pooled = {key.removeprefix("attn_pool.") for key in weights if key.startswith("attn_pool.")}
    theirs = {
        f"visual.{openai_name(key)}": value
        for key, value in weights.items()
        if not key.startswith(("attn_pool.", "head."))
    }
    theirs["visual.class_embedding"] = theirs["visual.class_embedding"][0, 0]
    theirs["visual.positional_embedding"] = theirs["visual.positional_embedding"][0]
    theirs["visual.proj"] = torch.zeros(192, 512)
    for part in ("weight", "bias"):
        q_and_kv = [weights[f"attn_pool.{name}.{part}"] for name in ("q", "kv")]
        theirs[f"visual.attn_pool.attn.in_proj_{part}"] = torch.cat(q_and_kv)
    for key in sorted(
        pooled - {f"{name}.{part}" for name in ("q", "kv") for part in ("weight", "bias")}
    ):
        theirs[f"visual.attn_pool.{_metas_pooling(key)}"] = weights[f"attn_pool.{key}"]
    theirs["logit_scale"] = torch.zeros(())
    torch.save(theirs, tmp_path / "pe.pt")
    detector = detector_from(tmp_path / "pe.pt", name, size_px=size_px, pool="map")
    taken = {key for key in weights if not key.startswith("head.")}
    if size_px == 192:  # the positions of its grid of 24 x 24 patches are fitted to 12 x 12
        expected = timm.layers.resample_abs_pos_embed(weights["pos_embed"], new_size=[12, 12])
        torch.testing.assert_close(detector.backbone.pos_embed.detach(), expected)
        taken.remove("pos_embed")
    assert shared_weights(detector, weights) == taken


def test_positions_for_a_network_that_has_none_are_refused_by_name(tmp_path):
    torch.save(published("vit_tiny_patch16_224"), tmp_path / "vit.pth")
    with pytest.raises(ModelFileError, match=r"has unexpected .*pos_embed"):
        detector_from(tmp_path / "vit.pth", "vit_tiny_patch16_dinov3_qkvb", size_px=64)


def _metas_name(key):
    for ours, theirs in [
        ("gamma_1", "ls1.gamma"),
        ("gamma_2", "ls2.gamma"),
        ("reg_token", "storage_tokens"),
    ]:
        key = key.replace(ours, theirs)
    return key


def _metas_pooling(key):
    for ours, theirs in [
        ("latent", "probe"),
        ("norm", "layernorm"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ]:
        key = key.replace(ours, theirs)
    return key.replace("proj", "attn.out_proj") if key.startswith("proj") else key
