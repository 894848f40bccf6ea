"""How a backbone starts: timm's own weights, a copy of them, and the normalisation that belongs to them."""

from functools import cache

import pytest
import timm
import torch
from safetensors.torch import save_file

from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.preprocess import Preprocess
from dfray.models.weights import normalisation
from tests.models.fsfm_file import checkpoint_of, encoder_weights
from tests.models.hub_cache import fill

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def published(backbone, **options):
    """Weights of a timm model as it would be published, with nothing left at its start."""
    return dict(_published(backbone, **options))


@cache
def _published(backbone, **options):
    with SkipDraws():
        weights = timm.create_model(backbone, **options).state_dict()
    torch.manual_seed(5)
    return {k: torch.rand_like(v) if v.is_floating_point() else v for k, v in weights.items()}


def detector_from(path, backbone, size_px=224, **options):
    section = ModelSection(backbone=backbone, weights=str(path), size_px=size_px, **options)
    return build_detector(section, 2)


def shared_weights(detector, weights):
    """Names of the detector's tensors that equal those of the file."""
    own = detector.backbone.state_dict()
    return {k for k, v in own.items() if k in weights and torch.equal(v, weights[k])}


@pytest.mark.parametrize(
    ("backbone", "size_px", "head"),
    [
        ("resnet10t", 64, "fc"),
        ("efficientnet_b0", 64, "classifier"),
        ("convnext_atto", 64, "head.fc"),
        ("swin_tiny_patch4_window7_224", 224, "head.fc"),
        ("vit_xsmall_patch16_clip_224", 224, "head"),
        ("vit_pe_core_tiny_patch16_384", 384, "head"),
        ("vit_small_patch16_dinov3", 64, "head"),
        ("vit_tiny_patch16_dinov3_qkvb", 64, "head"),
        ("test_vit3", 160, "head"),
    ],
)
def test_a_copy_of_timms_file_starts_everything_but_the_head(tmp_path, backbone, size_px, head):
    weights = published(backbone, num_classes=10)
    save_file(weights, tmp_path / "model.safetensors")
    detector = detector_from(tmp_path / "model.safetensors", backbone, size_px=size_px)
    heads = {f"{head}.weight", f"{head}.bias"}
    assert shared_weights(detector, weights) == set(weights) - heads
    assert set(detector.loaded.ignored) == set(detector.loaded.fresh) == heads


def test_a_vit_pooled_another_way_leaves_its_norm_and_starts_fc_norm(tmp_path):
    weights = published("vit_tiny_patch16_224")
    save_file(weights, tmp_path / "model.safetensors")
    path = tmp_path / "model.safetensors"
    loaded = detector_from(path, "vit_tiny_patch16_224", pool="avg").loaded
    assert {k for k in loaded.ignored if "head" not in k} == {"norm.weight", "norm.bias"}
    assert {k for k in loaded.fresh if "head" not in k} == {"fc_norm.weight", "fc_norm.bias"}


def test_a_vit_pooled_as_published_keeps_its_norm(tmp_path):
    weights = published("vit_tiny_patch16_224")
    save_file(weights, tmp_path / "model.safetensors")
    detector = detector_from(tmp_path / "model.safetensors", "vit_tiny_patch16_224")
    assert shared_weights(detector, weights) == set(weights) - {"head.weight", "head.bias"}


def test_it_is_what_timm_itself_loads(tmp_path):
    weights = published("vit_tiny_patch16_224")
    save_file(weights, tmp_path / "model.safetensors")
    theirs = timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(tmp_path / "model.safetensors")},
        num_classes=2,
        img_size=96,
        global_pool="avg",
    )
    ours = detector_from(tmp_path / "model.safetensors", "vit_tiny_patch16_224", 96, pool="avg")
    assert shared_weights(ours, theirs.state_dict()) >= set(theirs.state_dict()) - {"head.weight"}


def test_weights_of_another_size_are_fitted_to_the_grid_once(tmp_path):
    weights = published("vit_tiny_patch16_384")
    save_file(weights, tmp_path / "model.safetensors")
    ours = detector_from(tmp_path / "model.safetensors", "vit_tiny_patch16_224", size_px=96)
    expected = timm.layers.resample_abs_pos_embed(weights["pos_embed"], new_size=[6, 6])
    torch.testing.assert_close(ours.backbone.pos_embed.detach(), expected)


def test_openais_own_layout_is_converted(tmp_path):
    weights = published("vit_xsmall_patch16_clip_224", num_classes=0)
    theirs = {f"visual.{openai_name(k)}": v for k, v in weights.items()}
    theirs["visual.class_embedding"] = theirs["visual.class_embedding"][0, 0]
    theirs["visual.positional_embedding"] = theirs["visual.positional_embedding"][0]
    theirs |= {"visual.proj": torch.zeros(512, 256), "logit_scale": torch.zeros(())}
    theirs["token_embedding.weight"] = torch.zeros(5, 7)  # the text's tower
    torch.save({"state_dict": theirs}, tmp_path / "clip.pt")
    detector = detector_from(tmp_path / "clip.pt", "vit_xsmall_patch16_clip_224")
    assert shared_weights(detector, weights) == set(weights)


def openai_name(key):
    for ours, theirs in [
        ("patch_embed.proj", "conv1"),
        ("pos_embed", "positional_embedding"),
        ("cls_token", "class_embedding"),
        ("norm_pre", "ln_pre"),
        ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
        ("blocks.", "transformer.resblocks."),
        (".norm", ".ln_"),
    ]:
        key = key.replace(ours, theirs)
    return key.replace("norm.", "ln_post.") if key.startswith("norm.") else key


def test_timms_weights_come_from_the_hubs_cache_without_the_hub(hub_cache):
    weights = published("resnet10t")
    place = ("timm/resnet10t.c3_in1k", "model.safetensors")
    fill(hub_cache, *place, lambda path: save_file(weights, path))
    for source in ("timm", "hf://timm/resnet10t.c3_in1k"):
        detector = detector_from(source, "resnet10t", size_px=64)
        assert shared_weights(detector, weights) == set(weights) - {"fc.weight", "fc.bias"}


def test_a_truncated_file_in_the_hubs_cache_is_refused(hub_cache):
    path = fill(
        hub_cache,
        "timm/resnet10t.c3_in1k",
        "model.safetensors",
        lambda path: save_file(published("resnet10t"), path),
    )
    path.write_bytes(path.read_bytes()[:-1000])
    for source in ("timm", "hf://timm/resnet10t.c3_in1k"):
        with pytest.raises(ModelFileError, match="resnet10t"):
            detector_from(source, "resnet10t", size_px=64)


def test_fsfms_layout_is_not_taken_for_timms(tmp_path):
    torch.save(checkpoint_of(encoder_weights()), tmp_path / "checkpoint-400.pth")
    with pytest.raises(ModelFileError, match=r"checkpoint-400\.pth.*weights_layout"):
        detector_from(tmp_path / "checkpoint-400.pth", "vit_tiny_patch16_224")


def test_old_files_of_batch_norm_that_do_not_count_batches_load(tmp_path):
    weights = {k: v for k, v in published("resnet10t").items() if "num_batches" not in k}
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights.items()}}, tmp_path / "a.pth")
    detector = detector_from(tmp_path / "a.pth", "resnet10t", size_px=64)
    assert shared_weights(detector, weights) >= set(weights) - {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("layer4.0.conv1.weight"), r"lacks layer4\.0\.conv1\.weight"),
        (lambda w: w.pop("bn1.running_mean", w.pop("conv1.1.running_mean")), "lacks conv1"),
        (lambda w: w.update(extra=torch.zeros(1)), "unexpected extra"),
        (
            lambda w: w.update({"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}),
            r"wrong shape in layer1\.0\.conv1\.weight \(64, 64, 1, 1\) for \(64, 64, 3, 3\)",
        ),
    ],
)
def test_a_copy_that_does_not_fit_is_refused_by_name(tmp_path, change, words):
    weights = published("resnet10t")
    change(weights)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=words):
        detector_from(tmp_path / "model.safetensors", "resnet10t", size_px=64)


def test_a_copy_of_another_network_is_refused_with_a_few_names(tmp_path):
    save_file(published("resnet10t"), tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=r"lacks .* and \d+ more; has unexpected") as caught:
        detector_from(tmp_path / "model.safetensors", "vit_tiny_patch16_224")
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (ModelSection(), IMAGENET),
        (ModelSection(backbone="resnet10t", weights="timm"), IMAGENET),
        (ModelSection(backbone="vit_base_patch16_224", weights="timm"), ((0.5,) * 3, (0.5,) * 3)),
        (ModelSection(backbone="vit_base_patch16_224.mae", weights="timm"), IMAGENET),
        (ModelSection(backbone="vit_large_patch14_clip_quickgelu_224", weights="a.pth"), CLIP),
        (ModelSection(backbone="vit_large_patch16_dinov3", weights="timm"), IMAGENET),
        (ModelSection(mean=(0.1, 0.2, 0.3)), ((0.1, 0.2, 0.3), IMAGENET[1])),
        (ModelSection(weights="timm", mean=(0.1,) * 3, std=(0.2,) * 3), ((0.1,) * 3, (0.2,) * 3)),
    ],
)
def test_normalisation_is_the_recipes_own_or_that_of_the_weights(section, expected):
    assert normalisation(section) == expected


def test_faces_are_normalised_by_it():
    section = ModelSection(backbone="vit_base_patch16_224", weights="timm", size_px=8)
    white = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    torch.testing.assert_close(Preprocess(section)(white), torch.ones(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("backbone", "weights", "hint"),
    [
        ("vit_large_patch14_clip_224.openai", "timm", "clip_quickgelu_224.openai"),
        ("vit_large_patch14_clip_224.openai", "copy.safetensors", "clip_quickgelu_224.openai"),
        (
            "vit_large_patch14_clip_224",
            "hf://timm/vit_large_patch14_clip_224.openai",
            "vit_large_patch14_clip_quickgelu_224.openai",
        ),
        ("vit_base_patch32_clip_224.metaclip_400m", "timm", "clip_quickgelu_224.metaclip_400m"),
    ],
)
def test_quickgelu_weights_are_refused_in_a_backbone_that_computes_gelu(backbone, weights, hint):
    with pytest.raises(RecipeError, match=f"QuickGELU.*{hint}"):
        build_detector(ModelSection(backbone=backbone, weights=weights), 2)


def test_the_quickgelu_backbone_takes_them(hub_cache):
    section = ModelSection(
        backbone="vit_large_patch14_clip_quickgelu_224.openai",
        weights="hf://timm/vit_large_patch14_clip_224.openai",
    )
    with (
        torch.device("meta"),
        SkipDraws(),
        pytest.raises(ModelFileError, match="cannot be downloaded"),
    ):
        build_detector(section, 2)
