"""FSFM's published layout, built here independently: what is taken, what is left, what is refused."""

import json

import pytest
import torch
import torch.nn.functional as F

from dfray import storage
from dfray.config import ModelSection
from dfray.errors import ModelFileError
from dfray.models.backbone import build_detector
from dfray.models.fsfm import VGGFACE2_MEAN, VGGFACE2_STD
from dfray.models.preprocess import Preprocess
from tests.models.fsfm_file import checkpoint_of, encoder_weights, pretraining_shapes
from tests.models.hub_cache import fill
from tests.models.plain_vit import linear, norm, tokens_of


def section_of(path, backbone="vit_tiny_patch16_224", **options):
    return ModelSection(
        backbone=backbone, weights=str(path), weights_layout="fsfm", head_init_std=0.02, **options
    )


def saved(folder, weights, **changes):
    """The path of a checkpoint of `weights`, its `model` updated with `changes` (none: removed)."""
    content = checkpoint_of(weights)
    content["model"] = {k: v for k, v in (content["model"] | changes).items() if v is not None}
    torch.save(content, folder / "checkpoint-400.pth")
    return folder / "checkpoint-400.pth"


def relative_error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(
    ("backbone", "dim", "heads"),
    [
        ("vit_tiny_patch16_224", 192, 3),
        pytest.param("vit_base_patch16_224", 768, 12, marks=pytest.mark.slow, id="the paper's"),
    ],
)
def test_a_vit_computes_what_the_definition_says(tmp_path, backbone, dim, heads):
    weights = encoder_weights(dim=dim)
    path = saved(tmp_path, weights)
    torch.manual_seed(0)
    section = section_of(path, backbone=backbone, embedding="pooled")
    detector = build_detector(section, 2).eval()
    path.unlink()  # up to 350 MB
    own = detector.backbone.state_dict()
    torch.nn.init.normal_(own["fc_norm.weight"], mean=1, std=0.3)  # so that the fresh norm is seen
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        logits, pooled = detector(images)
        expected = tokens_of(weights, images, heads=heads)[:, 1:].mean(dim=1)
        expected_logits = linear(own, "head", norm(own, "fc_norm", expected, eps=1e-6))
    assert pooled.dtype == logits.dtype == torch.float32
    assert relative_error(pooled, expected) < 1e-5
    assert relative_error(logits, expected_logits) < 1e-5
    assert own["head.weight"].std().item() == pytest.approx(0.02, rel=0.1)


def test_what_pretraining_alone_needs_is_ignored_and_listed(tmp_path):
    loaded = build_detector(section_of(saved(tmp_path, encoder_weights())), 2).loaded
    assert set(loaded.ignored) == set(pretraining_shapes(192, 14))
    assert set(loaded.fresh) == {"head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias"}
    for told in (
        "norm.* (2)",
        "mask_token",
        "decoder_blocks.* (96)",
        "projector.* (6)",
        "head.* (2)",
    ):
        assert told in str(loaded)


def test_position_embeddings_are_interpolated_to_the_grid(tmp_path):
    weights = encoder_weights()
    detector = build_detector(section_of(saved(tmp_path, weights), size_px=112), 2).eval()
    grid = weights["pos_embed"][:, 1:].reshape(1, 14, 14, 192).permute(0, 3, 1, 2)
    smaller = F.interpolate(grid, size=(7, 7), mode="bicubic", antialias=True)
    expected = torch.cat([weights["pos_embed"][:, :1], smaller.flatten(2).transpose(1, 2)], dim=1)
    torch.testing.assert_close(detector.backbone.pos_embed.detach(), expected)
    images = torch.randn(1, 3, 112, 112)
    with torch.inference_mode():
        tokens = tokens_of(weights | {"pos_embed": expected}, images, heads=3)
        found = detector.backbone.forward_features(images)
    assert relative_error(found, tokens) < 1e-5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"blocks.3.attn.qkv.bias": None}, r"lacks blocks\.3\.attn\.qkv\.bias"),
        ({"pos_embed": None}, "lacks pos_embed"),
        ({"head.weight": torch.zeros(2, 192)}, r"unexpected head\.weight"),
        ({"blocks.12.norm1.bias": torch.zeros(192)}, r"unexpected blocks\.12\.norm1\.bias"),
        ({"momentum": torch.zeros(1)}, "unexpected momentum"),
        (
            {"cls_token": torch.zeros(1, 1, 193)},
            r"shape in cls_token \(1, 1, 193\) for \(1, 1, 192\)",
        ),
        ({"pos_embed": torch.zeros(1, 190, 192)}, r"shape in pos_embed \(1, 190, 192\)"),
        ({"cls_token": "text"}, "shape in cls_token str"),
    ],
)
def test_any_other_difference_is_refused_by_name(tmp_path, changes, words):
    with pytest.raises(ModelFileError, match=words):
        build_detector(section_of(saved(tmp_path, encoder_weights(), **changes)), 2)


def test_another_width_is_refused_by_shape(tmp_path):
    path = saved(tmp_path, encoder_weights(dim=96))
    with pytest.raises(ModelFileError, match=r"wrong shape in .*\(1, 1, 96\) for \(1, 1, 192\)"):
        build_detector(section_of(path), 2)


def test_a_class_token_head_is_refused_since_its_norm_was_not_fine_tuned(tmp_path):
    with pytest.raises(ModelFileError, match=r"lacks norm\.weight, norm\.bias.*model\.pool"):
        build_detector(section_of(saved(tmp_path, encoder_weights()), pool="token"), 2)


def test_a_file_without_a_model_is_refused(tmp_path):
    torch.save(encoder_weights(depth=1), tmp_path / "bare.pth")
    with pytest.raises(ModelFileError, match="no `model`, but cls_token"):
        build_detector(section_of(tmp_path / "bare.pth"), 2)


def test_mean_and_std_come_from_the_file_beside_the_checkpoint(tmp_path):
    line = json.dumps({"mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]}) + "\n"
    (tmp_path / "pretrain_ds_mean_std.txt").write_text(line)
    preprocess = Preprocess(section_of(tmp_path / "checkpoint-400.pth"))
    torch.testing.assert_close(preprocess.mean.flatten(), torch.tensor([0.5, 0.4, 0.3]))
    torch.testing.assert_close(preprocess.std.flatten(), torch.tensor([0.3, 0.2, 0.1]))


@pytest.mark.parametrize("place", ["object store", "hub"])
def test_checkpoint_and_normalisation_come_from_an_object_store_or_the_hub(
    tmp_path, bucket, hub_cache, place
):
    weights = encoder_weights()
    path = saved(tmp_path, weights)
    line = b'{"mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]}'
    if place == "hub":
        uri, files = "hf://Wolowolo/fsfm-3c", "pretrained_models/VF2_ViT-B"
        for name, content in (
            ("checkpoint-400.pth", path.read_bytes()),
            ("pretrain_ds_mean_std.txt", line),
        ):
            fill(hub_cache, "Wolowolo/fsfm-3c", f"{files}/{name}", write_of(content))
    else:
        uri = f"{bucket}/models/checkpoint-400.pth"
        storage.put(path, uri)
        storage.write_bytes(line, f"{bucket}/models/pretrain_ds_mean_std.txt")
    section = section_of(uri)
    own = build_detector(section, 2).backbone.state_dict()
    assert all(torch.equal(own[name], value) for name, value in weights.items())
    torch.testing.assert_close(Preprocess(section).mean.flatten(), torch.tensor([0.5, 0.4, 0.3]))


def write_of(content):
    return lambda path: path.write_bytes(content)


def test_without_that_file_they_are_those_of_vggface2(tmp_path):
    preprocess = Preprocess(section_of(tmp_path / "checkpoint-400.pth"))
    torch.testing.assert_close(preprocess.mean.flatten(), torch.tensor(VGGFACE2_MEAN))
    torch.testing.assert_close(preprocess.std.flatten(), torch.tensor(VGGFACE2_STD))
    assert VGGFACE2_MEAN[0] > VGGFACE2_MEAN[2]  # RGB: faces are red rather than blue


@pytest.mark.parametrize(
    "text",
    ["", "mean: 1", '{"mean": [1, 1], "std": [1, 1]}', '{"mean": [1, 1, 1], "std": [1, 0, 1]}'],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, text):
    (tmp_path / "pretrain_ds_mean_std.txt").write_text(text)
    with pytest.raises(ModelFileError, match=r"pretrain_ds_mean_std\.txt.*model\.mean"):
        Preprocess(section_of(tmp_path / "checkpoint-400.pth"))
