"""A pretrained network keeps the pooling that it was trained with, or says what it loses and gains."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from dfray.config import ModelSection
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.initial_values import SkipDraws
from dfray.models.network import NetworkChanges, described, stated
from tests.models.hub_cache import fill
from tests.models.test_heads import bundle_of

POOLS_BY_ATTENTION, POOLS_BY_TOKEN = "test_vit3", "test_vit"
"""timm's tiny networks: the first pools as SigLIP's do, the second as DINOv2's."""


@pytest.fixture
def hub(hub_cache):
    """The hub's cache with timm's weights of both, nothing left at its start."""
    kept = {}
    for name in (POOLS_BY_ATTENTION, POOLS_BY_TOKEN):
        torch.manual_seed(5)
        weights = {k: torch.rand_like(v) for k, v in timm.create_model(name).state_dict().items()}
        repo = f"timm/{name}.{timm.get_pretrained_cfg(name).tag}"
        fill(hub_cache, repo, "model.safetensors", lambda path, w=weights: save_file(w, path))
        kept[name] = weights
    return kept


def pretrained(name, **options):
    return build_detector(ModelSection(backbone=name, weights="timm", size_px=160, **options), 2)


@pytest.mark.parametrize(
    ("name", "kept"), [(POOLS_BY_ATTENTION, "attn_pool."), (POOLS_BY_TOKEN, "norm.")]
)
def test_timms_weights_keep_their_pooling_and_its_norm(hub, name, kept):
    own = pretrained(name).backbone.state_dict()
    trained = {key: value for key, value in hub[name].items() if key.startswith(kept)}
    assert trained
    assert all(torch.equal(own[key], value) for key, value in trained.items())


@pytest.mark.parametrize("name", [POOLS_BY_ATTENTION, POOLS_BY_TOKEN])
def test_what_another_pooling_loses_and_gains_is_listed_for_timms_weights(hub, name):
    detector = pretrained(name, pool="avg")
    told = "\n".join(detector.description())
    own = detector.backbone.state_dict()
    lost = {key.partition(".")[0] for key in hub[name] if key not in own}
    assert "norm" in lost
    assert f"pool avg in place of timm's {timm.create_model(name).global_pool}; lost: " in told
    for module in lost:
        assert f"{module}.* ({sum(key.startswith(f'{module}.') for key in hub[name])})" in told
    assert "random start: fc_norm.* (2)" in told


@pytest.mark.parametrize(
    ("backbone", "pool", "lost", "gained"),
    [
        ("vit_base_patch16_siglip_224.v2_webli", None, set(), set()),
        (
            "vit_base_patch16_siglip_224.v2_webli",
            "avg",
            {"attn_pool", "norm"},
            {"fc_norm"},
        ),
        ("vit_small_patch14_dinov2", None, set(), set()),
        ("vit_small_patch14_dinov2", "avg", {"norm"}, {"fc_norm"}),
        ("vit_large_patch14_clip_quickgelu_224.openai", None, set(), set()),
        ("tf_efficientnet_b4.ap_in1k", None, set(), set()),
    ],
)
def test_it_is_known_before_any_weight_is_there(backbone, pool, lost, gained):
    section = ModelSection(backbone=backbone, weights="timm", pool=pool)
    changes = NetworkChanges.of(stated(section))
    assert {key.partition(".")[0] for key in changes.lost} == lost
    assert {key.partition(".")[0] for key in changes.gained} == gained


def test_a_vit_from_random_weights_or_of_fsfm_takes_the_mean_of_its_patches():
    fsfm = {"weights": "a.pth", "weights_layout": "fsfm"}
    for options in ({}, fsfm, {"weights": "timm", "pool": "avg"}):
        assert stated(ModelSection(backbone="vit_small_patch16_224", **options)).pool == "avg"


@pytest.mark.parametrize("name", [POOLS_BY_ATTENTION, POOLS_BY_TOKEN])
def test_a_bundle_states_its_pooling_and_is_loaded_with_it(hub, tmp_path, name):
    section = stated(ModelSection(backbone=name, weights="timm", size_px=160))
    bundle = bundle_of(section)
    assert bundle.recipe["model"]["pool"] == timm.create_model(name).global_pool
    bundle.save(tmp_path)
    images = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        expected = bundle.detector.eval()(images)
        for found, kept in zip(Bundle.load(tmp_path).detector(images), expected, strict=True):
            torch.testing.assert_close(found, kept, rtol=0, atol=0)


def test_a_bundle_of_an_earlier_date_pools_as_it_did_then(tmp_path):
    """It names timm's weights and no pooling: it was trained on the mean of the patches."""
    bundle = bundle_of(ModelSection(backbone=POOLS_BY_ATTENTION, size_px=160, pool="avg"))
    bundle.recipe["model"] |= {"weights": "timm", "pool": None}
    bundle.recipe["model"].pop("num_heads")
    bundle.save(tmp_path)
    assert Bundle.load(tmp_path).detector.backbone.global_pool == "avg"


@pytest.mark.parametrize("name", ["vit_small_patch16_224", "vit_xsmall_patch16_clip_224"])
def test_a_network_from_random_weights_is_the_same_with_its_pooling_stated(name):
    for options in ({}, {"pool": "token"}, {"num_heads": 4}):
        section = ModelSection(backbone=name, size_px=64, **options)
        with torch.device("meta"), SkipDraws():
            built = [
                build_detector(each, 2).backbone.state_dict() for each in (section, stated(section))
            ]
        assert built[0].keys() == built[1].keys()


def test_a_bundles_network_is_described_with_what_it_lost():
    siglip = ModelSection(backbone="vit_base_patch16_siglip_224.v2_webli", weights="timm")
    before = "lost: attn_pool.* (13), norm.* (2); random start: fc_norm.* (2)"
    assert described(stated(siglip))[1:] == ["12 attention heads", "pool map, as pretrained"]
    assert (
        described(siglip)[2] == f"pool avg in place of timm's map; {before}"
    )  # of an earlier date
    assert described(ModelSection(backbone="resnet10t", size_px=64)) == ["resnet10t, 64 px"]


@pytest.mark.parametrize(
    ("name", "size_px"),
    [("vit_pe_core_tiny_patch16_384", 112), ("vit_tiny_patch16_dinov3_qkvb", 112)],
)
def test_rotary_positions_of_another_size_are_those_of_timms_dynamic_size(tmp_path, name, size_px):
    """GenD takes PE's features so, at 224 px of a network for 336 (arXiv 2508.06248's code)."""
    torch.manual_seed(0)
    theirs = timm.create_model(name, dynamic_img_size=True, num_classes=0).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    weights = str(tmp_path / "model.safetensors")
    ours = build_detector(ModelSection(backbone=name, weights=weights, size_px=size_px), 2).eval()
    images = torch.randn(2, 3, size_px, size_px)
    with torch.inference_mode():
        expected = theirs(images)
        found = ours(images)[1]
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_dinov3_pooled_by_its_class_token_has_the_one_after_the_last_norm():
    torch.manual_seed(0)
    section = ModelSection(backbone="vit_tiny_patch16_dinov3_qkvb", size_px=64, pool="token")
    detector = build_detector(section, 2).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        tokens = detector.backbone.forward_features(images)
        torch.testing.assert_close(detector(images)[1], tokens[:, 0], rtol=0, atol=0)
        torch.testing.assert_close(tokens[:, 0].mean(-1), torch.zeros(2), rtol=0, atol=1e-5)
    assert tokens.shape == (2, 1 + 4 + 16, 192)  # class token, registers, patches
