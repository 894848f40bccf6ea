"""Any timm backbone by name: shapes, what the embedding is, and what is refused."""

import pytest
import torch
from torch import nn

from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from tests.models.plain_vit import linear, norm, quick_gelu, tokens_of


def detector_of(backbone, size_px=64, num_classes=2, **options):
    torch.manual_seed(0)
    section = ModelSection(backbone=backbone, size_px=size_px, **options)
    return build_detector(section, num_classes).eval()


@pytest.mark.parametrize(
    ("backbone", "size_px", "dim"),
    [
        ("resnet10t", 64, 512),
        ("efficientnet_b0", 64, 1280),
        ("vit_tiny_patch16_224", 224, 192),
        ("vit_tiny_patch16_224", 64, 192),  # timm builds it for 224; ours for what is asked
        ("convnext_atto", 64, 320),
        ("swin_tiny_patch4_window7_224", 224, 768),
    ],
)
@pytest.mark.parametrize("num_classes", [2, 5])
def test_gives_logits_and_embeddings(backbone, size_px, dim, num_classes):
    with torch.device("meta"), SkipDraws(), torch.inference_mode():
        detector = detector_of(backbone, size_px, num_classes)
        logits, embeddings = detector(torch.empty(3, 3, size_px, size_px))
    assert logits.shape == (3, num_classes)
    assert embeddings.shape == (3, dim)
    assert detector.embedding_dim == dim


def test_vit_base_of_the_paper_builds():
    with torch.device("meta"), SkipDraws():
        detector = build_detector(ModelSection(backbone="vit_base_patch16_224"), 2)
    assert detector.embedding_dim == 768
    assert sum(p.numel() for p in detector.parameters()) == 85_800_194


def test_embedding_of_a_vit_is_the_normed_mean_of_its_patch_tokens():
    detector = detector_of("vit_tiny_patch16_224")
    nn.init.normal_(detector.backbone.fc_norm.weight)  # so that the norm is seen
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, embeddings = detector(images)
        tokens = detector.backbone.forward_features(images)  # (B, 1 + 16, D), class token first
        pooled = tokens[:, 1:].mean(dim=1)
        expected = detector.backbone.fc_norm(pooled)
        expected_logits = detector.backbone.head(expected)
    assert tokens.shape[1] == 1 + 16
    torch.testing.assert_close(embeddings, expected)
    torch.testing.assert_close(logits, expected_logits)


def test_pooled_embedding_is_taken_before_the_norm_and_leaves_the_logits_alone():
    normed = detector_of("vit_tiny_patch16_224")
    pooled = detector_of("vit_tiny_patch16_224", embedding="pooled")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, embeddings = pooled(images)
        expected_logits, normed_embeddings = normed(images)
        renormed = pooled.backbone.fc_norm(embeddings)
    torch.testing.assert_close(logits, expected_logits)
    torch.testing.assert_close(renormed, normed_embeddings)
    assert not torch.allclose(embeddings, normed_embeddings)


def test_embedding_of_clip_is_its_normalised_class_token():
    with torch.device("meta"), SkipDraws():  # 88 million weights, drawn once and below
        detector = detector_of("vit_base_patch32_clip_quickgelu_224", normalise_embedding=True)
    detector.to_empty(device="cpu")
    for parameter in detector.backbone.parameters():
        nn.init.normal_(parameter, std=0.05)  # so that norms and biases are seen
    weights = detector.backbone.state_dict()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, embeddings = detector(images)
        tokens = tokens_of(weights, images, heads=12, eps=1e-5, activation=quick_gelu)
        feature = norm(weights, "norm", tokens, eps=1e-5)[:, 0]
        expected = feature / feature.norm(dim=1, keepdim=True)
        expected_logits = linear(weights, "head", expected)
    torch.testing.assert_close(embeddings, expected)
    torch.testing.assert_close(logits, expected_logits)


@pytest.mark.parametrize(
    ("backbone", "size_px", "dim"),
    [
        ("vit_large_patch14_clip_quickgelu_224.openai", 224, 1024),
        ("vit_pe_core_base_patch16_224", 224, 768),
        pytest.param("vit_pe_core_large_patch14_336", 224, 1024, marks=pytest.mark.slow),
        ("vit_small_patch16_dinov3", 224, 384),
        ("vit_base_patch16_dinov3", 224, 768),
        pytest.param("vit_large_patch16_dinov3", 224, 1024, marks=pytest.mark.slow),
        pytest.param("vit_huge_plus_patch16_dinov3", 224, 1280, marks=pytest.mark.slow),
    ],
)
def test_encoders_of_the_clip_paper_and_its_successor_are_known_by_name(backbone, size_px, dim):
    with torch.device("meta"), SkipDraws():
        section = ModelSection(backbone=backbone, size_px=size_px, normalise_embedding=True)
        detector = build_detector(section, 2)
        logits, embeddings = detector(torch.empty(3, 3, size_px, size_px))
    assert (detector.embedding_dim, embeddings.shape, logits.shape) == (dim, (3, dim), (3, 2))


def test_dinov3_gives_its_normed_class_token_where_asked():
    detector = detector_of("vit_small_patch16_dinov3", pool="token")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        _, embeddings = detector(images)
        expected = detector.backbone.forward_features(images)[:, 0]
    torch.testing.assert_close(embeddings, expected)
    torch.testing.assert_close(embeddings.mean(dim=1), torch.zeros(2), atol=1e-6, rtol=0)


def test_perception_encoder_pools_by_attention():
    detector = detector_of("vit_pe_core_tiny_patch16_384")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        _, embeddings = detector(images)
        expected = detector.backbone.attn_pool(detector.backbone.forward_features(images))
    torch.testing.assert_close(embeddings, expected)


def test_the_head_starts_as_small_as_asked():
    head = detector_of("vit_tiny_patch16_224", num_classes=20, head_init_std=2e-5).backbone.head
    assert head.weight.std().item() == pytest.approx(2e-5, rel=0.1)
    assert not head.bias.any()


def test_embedding_of_a_convolutional_net_is_its_pooled_map():
    detector = detector_of("resnet10t")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        _, embeddings = detector(images)
        expected = detector.backbone.forward_features(images).mean(dim=(2, 3))
    torch.testing.assert_close(embeddings, expected)


def test_the_timm_model_alone_gives_the_same_logits():
    detector = detector_of("vit_tiny_patch16_224")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(detector(images)[0], detector.backbone(images))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "vit_tiny_patch16_225"}, "vit_tiny_patch16_224"),
        ({"backbone": "resnet10t", "embedding": "pooled"}, "pre_logits"),
        ({"backbone": "vit_tiny_patch16_224", "pool": "token", "embedding": "pooled"}, "fc_norm"),
        ({"backbone": "resnet10t", "pool": "token"}, "model.pool"),
        ({"backbone": "vit_tiny_patch16_224.nonsense"}, "Invalid pretrained tag"),
        ({"backbone": "levit_128s", "size_px": 224}, "linear head"),
        ({"backbone": "vgg11", "drop_path": 0.1}, "drop_path"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_mend(options, words):
    with pytest.raises(RecipeError, match=words):
        detector_of(**options)


def test_weights_that_cannot_be_fetched_are_an_error_with_a_mend(hub_cache):
    with pytest.raises(ModelFileError, match=r"resnet10t.*HF_HOME.*copy"):
        detector_of("resnet10t", weights="timm")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights_layout": "fsfm"}, "hf://Wolowolo/fsfm-3c"),
        ({"weights_layout": "fsfm", "weights": "timm"}, "hf://Wolowolo/fsfm-3c"),
        ({"tuning": "last_blocks"}, "tuned_blocks"),
        ({"tuned_blocks": 2}, "last_blocks"),
        ({"normalise_embedding": True, "embedding": "pooled"}, "pre_logits"),
        ({"std": (0.2, 0.0, 0.2)}, "greater than 0"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ModelSection(**options)
