"""Fine-tuned FSFM, FS-VFM and FS-Adapter files, made here from their description: logits, and refusals."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from dfray.errors import ModelFileError
from dfray.models.fsfm import VGGFACE2_MEAN
from dfray.models.published import DETECTORS, load_published
from tests.models.fsfm_file import encoder_weights
from tests.models.plain_vit import linear, norm, tokens_of
from tests.models.published.files import relative_error, smaller

FILE = "checkpoint-min_val_loss.pth"


def fine_tuned(dim: int = 192, depth: int = 12, adapter: bool = False) -> dict[str, torch.Tensor]:
    """What a fine-tuned model holds: encoder, fc_norm and a head whose rows are fake, real."""
    generator = torch.Generator().manual_seed(11)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.3

    weights = encoder_weights(dim=dim, depth=depth)
    weights |= {"fc_norm.weight": 1 + draw(dim), "fc_norm.bias": draw(dim)}
    weights |= {"head.weight": draw(2, 2 * dim if adapter else dim), "head.bias": draw(2)}
    if adapter:
        narrow = dim // 4
        weights |= {
            "adapter.linear1.weight": draw(narrow, dim),
            "adapter.linear2.weight": draw(dim, narrow),
            "projector.weight": draw(narrow, narrow),
            "projector.bias": draw(narrow),
        }
    return weights


def saved(folder, weights, **changes):
    """The path of a file of `weights` among what training kept, changed (none: removed)."""
    model = {key: value for key, value in (weights | changes).items() if value is not None}
    content = {
        "model": model,
        "optimizer": {"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 8,
        "scaler": {"scale": 65536.0, "_growth_tracker": 3},
        "args": Namespace(model="vit_large_patch16", nb_classes=2, data_path=["FF++"], mixup=0.8),
    }
    torch.save(content, folder / FILE)
    return str(folder / FILE)


def expected_logits(weights, images, heads):
    """(B, 2) real, fake: mean of the patches, fc_norm, the adapter beside it, the rows turned round."""
    with torch.inference_mode():
        pooled = tokens_of(weights, images, heads=heads)[:, 1:].mean(dim=1)
        features = norm(weights, "fc_norm", pooled, eps=1e-6)
        if "adapter.linear1.weight" in weights:
            narrow = torch.clamp(features @ weights["adapter.linear1.weight"].T, min=0)
            wide = torch.clamp(narrow @ weights["adapter.linear2.weight"].T, min=0)
            features = torch.cat([features, wide], dim=1)
        return linear(weights, "head", features)[:, [1, 0]]


def tiny(name):
    return smaller(name, backbone="vit_tiny_patch16_224", num_heads=3)


@pytest.mark.parametrize(
    ("detector", "dim", "heads"),
    [
        (tiny("fsfm-b"), 192, 3),
        (tiny("fs-adapter-l"), 192, 3),
        pytest.param(DETECTORS["fsvfm-s"], 384, 12, id="FS-VFM's ViT-S"),
        pytest.param(DETECTORS["fs-adapter-s"], 384, 12, id="FS-Adapter's ViT-S"),
        pytest.param(DETECTORS["fsvfm-b"], 768, 12, marks=pytest.mark.slow, id="FS-VFM's ViT-B"),
        pytest.param(DETECTORS["fsvfm-l"], 1024, 16, marks=pytest.mark.slow, id="FS-VFM's ViT-L"),
    ],
)
def test_logits_are_those_of_the_definition(tmp_path, detector, dim, heads):
    depth = 24 if dim == 1024 else 12
    weights = fine_tuned(dim, depth, adapter=detector.section.fs_adapter is not None)
    path = saved(tmp_path, weights)
    bundle = load_published(detector, path)
    Path(path).unlink()  # up to 1.2 GB
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits, _ = bundle.detector(images)
    assert relative_error(logits, expected_logits(weights, images, heads)) < 1e-5


@pytest.mark.parametrize("name", ["fsvfm-s", "fsvfm-b", "fsvfm-l", "fsfm-b"])
def test_the_heads_are_those_of_the_authors_code(name):
    assert DETECTORS[name].section.num_heads == (16 if name.endswith("l") else 12)


def test_fake_is_the_first_class_of_the_file_and_the_second_of_the_bundle(tmp_path):
    weights = fine_tuned() | {
        "head.weight": torch.zeros(2, 192),
        "head.bias": torch.tensor([3.0, 0.0]),
    }
    bundle = load_published(tiny("fsfm-b"), saved(tmp_path, weights))
    fake, _ = bundle.predict(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))
    assert tuple(bundle.class_names) == ("real", "fake")
    assert fake[0] == pytest.approx(1 / (1 + 2.718281828**-3))


def test_mean_and_std_are_those_beside_the_file_or_vggface2s(tmp_path):
    path = saved(tmp_path, fine_tuned())
    assert load_published(tiny("fsfm-b"), path).preprocess.mean.flatten().tolist() == pytest.approx(
        VGGFACE2_MEAN
    )
    line = json.dumps({"mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]})
    (tmp_path / "pretrain_ds_mean_std.txt").write_text(line)
    bundle = load_published(tiny("fsfm-b"), path)
    assert bundle.preprocess.std.flatten().tolist() == pytest.approx([0.3, 0.2, 0.1])
    assert bundle.recipe["model"]["mean"] == [0.5, 0.4, 0.3]


def test_fsfm_is_cropped_as_its_evaluation_crops_and_fsvfm_as_its_scripts(tmp_path):
    assert DETECTORS["fsfm-b"].faces.margin_ratio == pytest.approx(1.3 * 224 / 256)
    assert DETECTORS["fsvfm-l"].faces.margin_ratio == 1.3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head.weight": None}, r"lacks head\.weight"),
        (
            {"fc_norm.bias": None, "fc_nrm.bias": torch.zeros(192)},
            r"lacks fc_norm\.bias; has unexpected fc_nrm\.bias\. Did you mean fc_norm\.bias\?",
        ),
        ({"blocks.12.norm1.bias": torch.zeros(192)}, r"unexpected blocks\.12\.norm1\.bias"),
        ({"norm.weight": torch.ones(192)}, r"unexpected norm\.weight"),
        ({"projector.weight": torch.ones(48, 48)}, r"unexpected projector\.weight"),
        (
            {"head.weight": torch.zeros(4, 192)},
            r"wrong shape in head\.weight \(expected \(2, 192\), found \(4, 192\)\)",
        ),
        ({"cls_token": "text"}, r"cls_token \(expected \(1, 1, 192\), found str\)"),
        ({"fc_norm.bias": torch.full((192,), torch.nan)}, r"no finite numbers in fc_norm\.bias"),
    ],
)
def test_any_other_difference_is_refused_by_the_files_own_names(tmp_path, changes, words):
    with pytest.raises(ModelFileError, match=words):
        load_published(tiny("fsfm-b"), saved(tmp_path, fine_tuned(), **changes))


def test_a_file_of_another_size_is_refused_with_both_shapes(tmp_path):
    path = saved(tmp_path, fine_tuned(dim=96))
    with pytest.raises(
        ModelFileError, match=r"cls_token \(expected \(1, 1, 192\), found \(1, 1, 96\)\)"
    ):
        load_published(tiny("fsfm-b"), path)


def test_a_pre_trained_file_is_refused_by_what_it_lacks_and_has(tmp_path):
    from tests.models.fsfm_file import checkpoint_of

    torch.save(checkpoint_of(encoder_weights()), tmp_path / "checkpoint-400.pth")
    words = r"lacks fc_norm\.weight, fc_norm\.bias, head\.weight, head\.bias; has unexpected norm\.weight"
    with pytest.raises(ModelFileError, match=words):
        load_published(tiny("fsfm-b"), str(tmp_path / "checkpoint-400.pth"))


def test_a_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"model": fine_tuned(), "code": print}, tmp_path / FILE)
    with pytest.raises(ModelFileError, match=r"pickled with code in it \(builtins\.print\)"):
        load_published(tiny("fsfm-b"), str(tmp_path / FILE))


def test_half_precision_is_widened(tmp_path):
    weights = {name: value.half() for name, value in fine_tuned().items()}
    bundle = load_published(tiny("fsfm-b"), saved(tmp_path, weights))
    assert {value.dtype for value in bundle.detector.state_dict().values()} == {torch.float32}


def test_the_origin_is_stated_with_the_files_checksum(tmp_path):
    import hashlib

    path = saved(tmp_path, fine_tuned())
    origin = load_published(tiny("fsfm-b"), path).published
    assert origin["sha256"] == hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest()
    assert (origin["detector"], origin["read_from"]) == ("fsfm-b", path)
    assert "CC BY-NC" in origin["licence"]
