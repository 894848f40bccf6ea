"""Files of DeepfakeBench's detectors and of Effort, made here from their description: logits, refusals."""

from __future__ import annotations

import pytest
import torch

from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError, UserError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.published import DETECTORS, load_published
from tests.models.published import networks
from tests.models.published.convnets import (
    Fitted,
    efficientnet_logits,
    efficientnet_weights,
    xception_logits,
    xception_weights,
)
from tests.models.published.encoders import Draw, clip_features, clip_weights
from tests.models.published.files import relative_error, smaller

DIM, DEPTH, HEADS = (networks.NARROW[key] for key in ("embed_dim", "depth", "num_heads"))


def saved(folder, weights, start="backbone.", head=None):
    """The path of a state dictionary of a detector, its backbone's keys after `start`."""
    content = {f"{start}{key}": value for key, value in weights.items()} | (head or {})
    torch.save(content, folder / "best.pth")
    return str(folder / "best.pth")


def images(side, count=2):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def logits_of(bundle, pictures):
    with torch.inference_mode():
        return bundle.detector(pictures)[0]


def pictures_and_weights(make, forward):
    """Two pictures, and weights by which their logits differ."""
    pictures, weights = images(256), Fitted(make(Draw(seed=2)))
    with torch.inference_mode():
        forward(weights, pictures)
    return pictures, {name: value.clone() for name, value in weights.items()}


@pytest.mark.parametrize(
    ("name", "make", "forward"),
    [
        ("dfb-xception", xception_weights, xception_logits),
        ("dfb-efficientnet-b4", efficientnet_weights, efficientnet_logits),
    ],
)
def test_logits_of_the_whole_network_are_those_of_the_definition(tmp_path, name, make, forward):
    pictures, weights = pictures_and_weights(make, forward)
    bundle = load_published(DETECTORS[name], saved(tmp_path, weights))
    with torch.inference_mode():
        expected = forward(weights, pictures)
    assert relative_error(expected[:1], expected[1:]) > 0.05, "the logits depend on the picture"
    assert relative_error(logits_of(bundle, pictures), expected) < 1e-5


def test_the_padding_of_another_size_would_give_other_logits(tmp_path):
    pictures, weights = pictures_and_weights(efficientnet_weights, efficientnet_logits)
    detector = smaller("dfb-efficientnet-b4", fixed_padding_px=None)
    bundle = load_published(detector, saved(tmp_path, weights))
    with torch.inference_mode():
        expected = efficientnet_logits(weights, pictures)
    assert relative_error(logits_of(bundle, pictures), expected) > 1e-2


def test_only_networks_that_pad_by_their_input_have_a_fixed_padding():
    with pytest.raises(RecipeError, match=r"fixed_padding_px: test_resnet does not pad"):
        build_detector(ModelSection(backbone="test_resnet", fixed_padding_px=380), 2)


def clip_file(grid, patch):
    draw = Draw(seed=6)
    weights = clip_weights(draw, DIM, DEPTH, patch=patch, grid=grid)
    return weights, {"head.weight": draw(2, DIM), "head.bias": draw(2)}


def expected_clip(weights, head, pictures):
    with torch.inference_mode():
        features = clip_features(weights, pictures, HEADS)
        return features @ head["head.weight"].T + head["head.bias"]


@pytest.mark.parametrize("with_positions", [True, False])
def test_clips_logits_are_those_of_the_definition(tmp_path, with_positions):
    weights, head = clip_file(grid=14, patch=16)
    extra = {"embeddings.position_ids": torch.arange(197)[None]} if with_positions else {}
    detector = smaller("dfb-clip-b", backbone="narrow_clip_b", num_heads=HEADS)
    bundle = load_published(detector, saved(tmp_path, weights | extra, head=head))
    expected = expected_clip(weights, head, images(224))
    assert relative_error(logits_of(bundle, images(224)), expected) < 1e-5
    assert bundle.preprocess.mean.flatten().tolist() == [0.5, 0.5, 0.5]


def decomposed(weights, draw, with_frozen):
    """Effort's file of a CLIP: frozen part, and a changed residual direction, of each attention's weights."""
    made, effective = dict(weights), dict(weights)
    for name in [n for n in weights if ".self_attn." in n and n.endswith(".weight")]:
        linear = name.removesuffix(".weight")
        u, s, v = torch.linalg.svd(made.pop(name))
        frozen = u[:, :-1] @ torch.diag(s[:-1]) @ v[:-1]
        parts = {
            "weight_main": frozen,
            "U_residual": u[:, -1:] + draw(DIM, 1),
            "S_residual": s[-1:] + 1,
            "V_residual": v[-1:] + draw(1, DIM),
        }
        left, right = parts["U_residual"], parts["V_residual"]
        effective[name] = frozen + parts["S_residual"] * left @ right
        if with_frozen:
            parts |= {"U_r": u[:, :-1], "S_r": s[:-1], "V_r": v[:-1]}
        made |= {f"{linear}.{part}": value for part, value in parts.items()}
    return made, effective


@pytest.mark.parametrize("with_frozen", [True, False])
@pytest.mark.parametrize("start", ["", "module."])
def test_efforts_logits_are_those_of_the_summed_weights(tmp_path, with_frozen, start):
    weights, head = clip_file(grid=16, patch=14)
    made, effective = decomposed(weights, Draw(seed=7), with_frozen)
    detector = smaller("effort-clip-l", backbone="narrow_clip_l", num_heads=HEADS)
    file_head = {f"{start}{key}": value for key, value in head.items()}
    path = saved(tmp_path, made, f"{start}backbone.", file_head)
    expected = expected_clip(effective, head, images(224))
    assert relative_error(logits_of(load_published(detector, path), images(224)), expected) < 1e-5
    assert relative_error(expected_clip(weights, head, images(224)), expected) > 1e-2


def test_an_effort_file_without_a_residual_is_refused_by_name(tmp_path):
    weights, head = clip_file(grid=16, patch=14)
    made, _ = decomposed(weights, Draw(seed=7), with_frozen=False)
    del made["encoder.layers.1.self_attn.v_proj.S_residual"]
    detector = smaller("effort-clip-l", backbone="narrow_clip_l", num_heads=HEADS)
    with pytest.raises(ModelFileError, match=r"lacks .*layers\.1\.self_attn\.v_proj\.S_residual"):
        load_published(detector, saved(tmp_path, made, head=head))


@pytest.mark.parametrize(
    ("name", "patch", "grid", "depth"), [("dfb-clip-b", 16, 14, 12), ("effort-clip-l", 14, 16, 24)]
)
def test_a_file_of_the_whole_network_has_these_keys_and_no_others(name, patch, grid, depth):
    weights = clip_weights(Draw(seed=0), 32, depth, patch, grid)
    if name == "effort-clip-l":
        weights = {
            f"{key.removesuffix('.weight')}.{part}": value
            for key, value in weights.items()
            if ".self_attn." in key and key.endswith(".weight")
            for part in ("weight_main", "U_residual", "S_residual", "V_residual")
        } | {k: v for k, v in weights.items() if ".self_attn." not in k or k.endswith(".bias")}
    with torch.device("meta"), SkipDraws():
        state = build_detector(DETECTORS[name].section, 2).backbone.state_dict()
    sources = DETECTORS[name].sources(state)
    wanted = {key for source in sources.values() for key in source.names}
    assert wanted == {f"backbone.{key}" for key in weights} | {"head.weight", "head.bias"}


def test_a_key_of_another_version_is_refused_with_the_nearest(tmp_path):
    weights = xception_weights(Draw(seed=2))
    weights["last_linear.1.weight"] = weights.pop("last_linear.weight")
    words = (
        r"lacks backbone\.last_linear\.weight; .*\.last_linear\.1\.weight\. Did you mean backbone\."
    )
    with pytest.raises(ModelFileError, match=words):
        load_published(DETECTORS["dfb-xception"], saved(tmp_path, weights))


def test_its_file_has_to_be_named_as_it_is_not_on_the_hub():
    with pytest.raises(UserError, match=r"xception_best\.pth.*--weights"):
        DETECTORS["dfb-xception"].file(None)


def test_fake_is_the_second_class_of_the_file_as_of_the_bundle(tmp_path):
    weights, _ = clip_file(grid=14, patch=16)
    head = {"head.weight": torch.zeros(2, DIM), "head.bias": torch.tensor([0.0, 3.0])}
    detector = smaller("dfb-clip-b", backbone="narrow_clip_b", num_heads=HEADS)
    bundle = load_published(detector, saved(tmp_path, weights, head=head))
    fake, _ = bundle.predict(torch.zeros(1, 256, 256, 3, dtype=torch.uint8))
    assert fake[0] == pytest.approx(torch.tensor(3.0).sigmoid().item())
