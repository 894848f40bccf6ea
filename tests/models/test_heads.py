"""A ViT has the attention heads that its weights were trained with, which no shape of a file tells."""

from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.network import stated
from dfray.models.preprocess import Preprocess
from dfray.models.weights import resolve
from tests.helpers.toy import toy_recipe
from tests.models.fsfm_file import checkpoint_of, encoder_weights
from tests.models.hub_cache import fill
from tests.models.plain_vit import norm, tokens_of

VIT_S = "vit_small_patch16_224"
FOLDER = "pretrained_models/FS-VFM_ViT-S_VF2_600e"
HUB = f"hf://Wolowolo/fsfm-3c/{FOLDER}/checkpoint-599.pth"


@pytest.fixture(scope="module")
def weights():
    return encoder_weights(dim=384, depth=3)


def three_blocks(detector):
    """The first three blocks of a ViT-S, which are enough for a definition to be held against."""
    detector.backbone.blocks = detector.backbone.blocks[:3]
    return detector


def published(weights, model="fsfm_vit_small_patch16"):
    """A file of twelve blocks, of which the last nine repeat the first three."""
    whole = dict(weights)
    for name, value in weights.items():
        if name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            whole |= {f"blocks.{int(number) + more}.{rest}": value for more in (3, 6, 9)}
    return checkpoint_of(whole) | {"args": Namespace(model=model)}


def section_of(path, **options):
    return ModelSection(
        **{"backbone": VIT_S, "weights": str(path), "weights_layout": "fsfm", "size_px": 64}
        | options
    )


def relative_error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


def features(detector, images):
    with torch.inference_mode():
        return three_blocks(detector.eval()).backbone.forward_features(images)


@pytest.mark.parametrize("place", ["the hub", "a copy of any name"])
def test_a_vit_s_of_fs_vfm_computes_what_its_authors_twelve_heads_do(
    tmp_path, hub_cache, weights, place
):
    uri = HUB if place == "the hub" else tmp_path / "copy.pth"
    if place == "the hub":
        fill(hub_cache, "Wolowolo/fsfm-3c", f"{FOLDER}/checkpoint-599.pth", saved(weights))
    else:
        saved(weights)(uri)
    images = torch.randn(2, 3, 224, 224)
    found = features(build_detector(section_of(uri, size_px=224), 2), images)
    with torch.inference_mode():
        expected = tokens_of(weights, images, heads=12)
        timms = tokens_of(weights, images, heads=6)
    assert relative_error(found, expected) < 1e-5
    assert relative_error(found, timms) > 0.01


def saved(weights, model="fsfm_vit_small_patch16"):
    return lambda path: torch.save(published(weights, model), path)


def test_its_encoder_saved_in_timms_layout_keeps_its_heads_by_its_name(tmp_path, weights):
    folder = tmp_path / "FS-VFM_ViT-S_VF2_600e"
    folder.mkdir()
    encoder = {
        name: value.clone()
        for name, value in published(weights)["model"].items()
        if name.startswith(("blocks.", "cls_token", "pos_embed", "patch_embed", "norm."))
    }
    save_file(encoder, folder / "encoder.safetensors")
    images = torch.randn(1, 3, 224, 224)
    section = section_of(folder / "encoder.safetensors", weights_layout="timm", size_px=224)
    with torch.inference_mode():
        expected = norm(encoder, "norm", tokens_of(weights, images, heads=12), eps=1e-6)
    assert relative_error(features(build_detector(section, 2), images), expected) < 1e-5


@pytest.mark.parametrize(
    ("weights", "count"),
    [
        (HUB, 12),
        ("/models/FS-VFM_ViT-S_VF2_600e/checkpoint-599.pth", 12),
        ("s3://models/fsvfm_vit-s.safetensors", 12),
        ("/models/linear-vit-s-300ep.pth.tar", 12),
    ],
)
def test_other_heads_than_a_published_files_are_refused_before_it_is_read(weights, count):
    layout = "timm" if weights.endswith((".safetensors", ".tar")) else "fsfm"
    section = section_of(weights, num_heads=6, weights_layout=layout)
    for build in (resolve, lambda section: build_detector(section, 2)):
        with pytest.raises(RecipeError, match=rf"num_heads: 6;.*Set model.num_heads: {count}"):
            build(section)


@pytest.mark.parametrize(
    ("backbone", "weights", "timms_heads"),
    [
        ("vit_large_patch16_224", "/data/FS-VFM_ViT-S_then_L/large.pth", 16),
        ("vit_tiny_patch16_224", "s3://models/fsvfm_vit-s/tiny.safetensors", 3),
        (VIT_S, "/data/fs-vfm_vit-s/mine/run-3/small.safetensors", 6),
        (VIT_S, "/home/vit-s-300ep/models/mine/small.safetensors", 6),
    ],
)
def test_a_network_of_another_width_or_a_folder_farther_up_is_no_published_file(
    backbone, weights, timms_heads
):
    assert stated(ModelSection(backbone=backbone, weights=weights)).num_heads == timms_heads


def test_other_heads_than_a_file_records_are_refused_when_it_is_read(tmp_path, weights):
    saved(weights)(tmp_path / "copy.pth")
    with pytest.raises(
        RecipeError, match=r"fsfm_vit_small_patch16 by its own record.*num_heads: 12"
    ):
        build_detector(section_of(tmp_path / "copy.pth", num_heads=6), 2)


def test_a_file_of_ones_own_has_the_heads_that_the_recipe_says(tmp_path, weights):
    saved(weights, model="vit_small_of_mine")(tmp_path / "mine.pth")
    images = torch.randn(1, 3, 224, 224)
    section = section_of(tmp_path / "mine.pth", num_heads=6, size_px=224)
    with torch.inference_mode():
        expected = tokens_of(weights, images, heads=6)
    assert relative_error(features(build_detector(section, 2), images), expected) < 1e-5


@pytest.mark.parametrize(
    ("backbone", "heads"), [(VIT_S, 7), ("resnet10t", 4), ("swin_tiny_patch4_window7_224", 4)]
)
def test_heads_that_a_backbone_cannot_have_are_refused(backbone, heads):
    with pytest.raises(RecipeError, match=rf"model.num_heads \({heads}\)"):
        build_detector(ModelSection(backbone=backbone, num_heads=heads), 2)


def test_a_bundle_states_its_heads_and_is_loaded_with_them(tmp_path, weights):
    saved(weights)(tmp_path / "copy.pth")
    section = resolve(section_of(tmp_path / "copy.pth"))
    assert section.num_heads == 12
    bundle = bundle_of(section)
    bundle.save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(
        loaded.detector(images)[1], bundle.detector.eval()(images)[1], rtol=0, atol=0
    )


def bundle_of(section):
    recipe = toy_recipe("runs").model_copy(update={"model": section})
    return Bundle(
        detector=build_detector(section, 2),
        preprocess=Preprocess(section),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=0.5,
        faces=recipe.faces.model_dump(mode="json"),
    )


def test_a_bundle_of_an_earlier_date_has_the_heads_that_it_was_trained_with(tmp_path):
    """It names FS-VFM's file and no heads: it was trained with timm's six."""
    bundle = bundle_of(ModelSection(backbone=VIT_S, size_px=64))
    old = dict(bundle.recipe["model"], weights=HUB, weights_layout="fsfm")
    old.pop("num_heads")
    bundle.recipe["model"] = old
    bundle.save(tmp_path)
    assert Bundle.load(tmp_path).detector.backbone.blocks[0].attn.num_heads == 6
