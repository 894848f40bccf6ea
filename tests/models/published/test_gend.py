"""GenD's files of the hub and its predecessor's checkpoint, made here from their description."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dfray.errors import ModelFileError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.published import DETECTORS, load_published
from tests.models.hub_cache import fill
from tests.models.published import networks
from tests.models.published.encoders import (
    Draw,
    clip_features,
    clip_weights,
    dinov3_features,
    dinov3_weights,
    perception_features,
    perception_weights,
)
from tests.models.published.files import relative_error, smaller

DIM, DEPTH, HEADS = (networks.NARROW[key] for key in ("embed_dim", "depth", "num_heads"))


def clip(draw, dim=DIM, depth=DEPTH):
    made = clip_weights(draw, dim, depth, patch=14, grid=16)
    return {f"feature_extractor.vision_model.{k}": v for k, v in made.items()} | {
        "feature_extractor.visual_projection.weight": draw(48, dim)
    }


def perception(draw, dim=DIM, depth=DEPTH):
    made = perception_weights(draw, dim, depth)
    return {f"feature_extractor.backbone.{k}": v for k, v in made.items()}


def dinov3(draw, dim=DIM, depth=DEPTH):
    made = dinov3_weights(draw, dim, depth)
    return {f"feature_extractor.backbone.{k}": v for k, v in made.items()}


@dataclass
class Kind:
    """A detector with a narrow network, its file and its embedding."""

    narrow: str
    make: object
    features: object
    encoder: str
    unused: int


KINDS = {
    "gend-clip-l": Kind("narrow_clip_l", clip, clip_features, "openai/clip-vit-large-patch14", 1),
    "gend-pe-l": Kind(
        "narrow_pe", perception, perception_features, "vit_pe_core_large_patch14_336", 0
    ),
    "gend-dinov3-l": Kind(
        "narrow_dinov3", dinov3, dinov3_features, "facebook/dinov3-vitl16-pretrain-lvd1689m", 1
    ),
    "clip-l": Kind("narrow_clip_l", clip, clip_features, "", 1),
}


def narrow(name):
    heads = HEADS if DETECTORS[name].section.num_heads else None
    return smaller(name, backbone=KINDS[name].narrow, num_heads=heads)


def published(name, dim=DIM, depth=DEPTH):
    draw = Draw(seed=4)
    head = {"model.linear.weight": draw(2, dim, std=4.0), "model.linear.bias": draw(2)}
    return KINDS[name].make(draw, dim, depth) | head


def saved(folder, weights, name, head="LinearNorm", encoder=None):
    """The path of the file as the hub has it, or as Lightning writes the predecessor's."""
    if name == "clip-l":
        content = {"state_dict": weights, "epoch": 3, "hyper_parameters": {"backbone": "openai/x"}}
        torch.save(content, folder / "model.ckpt")
        return str(folder / "model.ckpt")
    config = {"architectures": ["GenD"], "backbone": encoder or KINDS[name].encoder, "head": head}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "GenD"}))
    save_file(weights, folder / "model.safetensors")
    return str(folder / "model.safetensors")


def expected_logits(weights, name, images, normalise=True, heads=HEADS):
    start = "feature_extractor.vision_model." if "clip" in name else "feature_extractor.backbone."
    own = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
    with torch.inference_mode():
        features = KINDS[name].features(own, images, heads)
        if normalise:
            features = features / features.norm(dim=1, keepdim=True)
        return features @ weights["model.linear.weight"].T + weights["model.linear.bias"]


def logits_of(bundle, images):
    with torch.inference_mode():
        return bundle.detector(images)[0]


IMAGES = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", KINDS)
def test_logits_are_those_of_the_definition(tmp_path, name):
    weights = published(name)
    bundle = load_published(narrow(name), saved(tmp_path, weights, name))
    expected = expected_logits(weights, name, IMAGES)
    assert relative_error(logits_of(bundle, IMAGES), expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gend-clip-l", "gend-pe-l", "gend-dinov3-l"])
def test_logits_of_the_whole_network_are_those_of_the_definition(tmp_path, name):
    weights = published(name, dim=1024, depth=24)
    path = saved(tmp_path, weights, name)
    bundle = load_published(DETECTORS[name], path)
    Path(path).unlink()  # 1.2 GB
    expected = expected_logits(weights, name, IMAGES, heads=16)
    assert relative_error(logits_of(bundle, IMAGES), expected) < 1e-5


@pytest.mark.parametrize("name", ["gend-clip-l", "gend-pe-l", "gend-dinov3-l"])
def test_a_linear_head_reads_the_token_itself_as_the_config_beside_says(tmp_path, name):
    weights = published(name)
    bundle = load_published(narrow(name), saved(tmp_path, weights, name, head="linear"))
    expected = expected_logits(weights, name, IMAGES, normalise=False)
    assert relative_error(logits_of(bundle, IMAGES), expected) < 1e-5
    assert bundle.recipe["model"]["normalise_embedding"] is False


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_the_whole_network_has_these_keys_and_no_others(name):
    weights = KINDS[name].make(Draw(seed=0), dim=32, depth=24)
    with torch.device("meta"), SkipDraws():
        state = build_detector(DETECTORS[name].section, 2).backbone.state_dict()
    sources = DETECTORS[name].sources(state)
    wanted = {key for source in sources.values() for key in source.names}
    assert sources.keys() == state.keys()
    assert len(weights) - len(wanted & weights.keys()) == KINDS[name].unused
    assert wanted - weights.keys() == {"model.linear.weight", "model.linear.bias"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.linear.weight", r"lacks model\.linear\.weight"),
        (
            "feature_extractor.vision_model.encoder.layers.1.self_attn.k_proj.bias",
            r"lacks .*layers\.1\.self_attn\.k_proj\.bias",
        ),
        ("feature_extractor.vision_model.post_layernorm.weight", r"lacks .*post_layernorm\.weight"),
    ],
)
def test_a_missing_key_is_refused_by_its_name_in_the_file(tmp_path, change, words):
    weights = {k: v for k, v in published("gend-clip-l").items() if k != change}
    with pytest.raises(ModelFileError, match=words):
        load_published(narrow("gend-clip-l"), saved(tmp_path, weights, "gend-clip-l"))


def test_queries_of_another_width_are_refused_by_all_their_names(tmp_path):
    name = "feature_extractor.vision_model.encoder.layers.0.self_attn.q_proj.weight"
    weights = published("gend-clip-l") | {name: torch.zeros(64, 32)}
    words = (
        r"q_proj\.weight, .*k_proj\.weight, .*\(expected \(192, 64\), found \(64, 32\), \(64, 64\)"
    )
    with pytest.raises(ModelFileError, match=words):
        load_published(narrow("gend-clip-l"), saved(tmp_path, weights, "gend-clip-l"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"encoder": "openai/clip-vit-base-patch16"}, "is of the encoder openai/clip-vit-base"),
        ({"head": "mlp"}, "with the head mlp"),
    ],
)
def test_another_encoder_or_head_is_refused(tmp_path, config, words):
    path = saved(tmp_path, published("gend-clip-l"), "gend-clip-l", **config)
    with pytest.raises(ModelFileError, match=words):
        load_published(narrow("gend-clip-l"), path)


def test_a_config_of_something_else_is_refused(tmp_path):
    path = saved(tmp_path, published("gend-clip-l"), "gend-clip-l")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match="names no backbone and head"):
        load_published(narrow("gend-clip-l"), path)


def test_it_comes_from_the_hub_by_default(hub_cache, monkeypatch):
    weights = published("gend-clip-l")
    config = json.dumps({"backbone": "openai/clip-vit-large-patch14", "head": "LinearNorm"})
    repo = "yermandy/GenD_CLIP_L_14"
    fill(hub_cache, repo, "model.safetensors", lambda path: save_file(weights, path))
    fill(hub_cache, repo, "config.json", lambda path: path.write_text(config))
    detector = narrow("gend-clip-l")
    uri = detector.file(None)
    assert uri == detector.file("hf://yermandy/GenD_CLIP_L_14")
    bundle = load_published(detector, uri)
    assert (
        relative_error(logits_of(bundle, IMAGES), expected_logits(weights, "gend-clip-l", IMAGES))
        < 1e-5
    )
    assert bundle.published["read_from"] == "hf://yermandy/GenD_CLIP_L_14/model.safetensors"


def test_fake_is_the_second_class_of_the_file_as_of_the_bundle(tmp_path):
    weights = published("gend-clip-l") | {
        "model.linear.weight": torch.zeros(2, DIM),
        "model.linear.bias": torch.tensor([0.0, 3.0]),
    }
    bundle = load_published(narrow("gend-clip-l"), saved(tmp_path, weights, "gend-clip-l"))
    fake, _ = bundle.predict(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))
    assert fake[0] == pytest.approx(torch.tensor(3.0).sigmoid().item())
