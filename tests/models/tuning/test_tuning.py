"""Every mode that adds parameters starts as the pretrained network, and is saved as a plain one."""

from __future__ import annotations

import sys

import pytest
import torch
from safetensors.torch import load_file

from dfray.config import ModelSection
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.preprocess import Preprocess
from dfray.models.tuning import plain_state
from tests.helpers.toy import toy_recipe
from tests.models.tuning.kit import detector_of, images, names, section_of, trained

OPTIONS = [
    {"tuning": "lora"},
    {"tuning": "lora", "tuning_rank": 2, "lora_alpha": 5, "tuning_targets": ("mlp.fc1", "qkv")},
    {"tuning": "svd"},
    {"tuning": "svd", "tuning_rank": 3, "tuning_targets": ("attn.qkv", "mlp.fc1", "mlp.fc2")},
    {"tuning": "adapter"},
]
each = pytest.mark.parametrize("options", OPTIONS, ids=str)


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_at_the_start_it_computes_what_the_pretrained_network_does(options):
    plain, tuned = detector_of("full"), detector_of(**options)
    tuned.backbone.head.load_state_dict(plain.backbone.head.state_dict())
    for ours, theirs in zip(tuned(images()), plain(images()), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@each
def test_the_merged_network_has_the_logits_of_the_trained_one(options):
    tuned = trained(detector_of(**options))
    plain = build_detector(section_of(**options).as_saved(), 2).eval()
    before = plain(images())[0]
    plain.load_state_dict(plain_state(tuned))
    assert not torch.allclose(plain(images())[0], before, rtol=1e-2)
    for ours, theirs in zip(plain(images()), tuned(images()), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [OPTIONS[1], OPTIONS[3]], ids=str)
def test_what_is_merged_has_the_names_of_the_plain_network(options):
    plain = build_detector(section_of("full"), 2)
    assert plain_state(detector_of(**options)).keys() == plain.state_dict().keys()
    assert plain_state(plain).keys() == plain.state_dict().keys()


@each
def test_a_step_changes_what_is_trained_and_leaves_the_rest_to_the_bit(options):
    tuned = trained(detector_of(**options)).train()
    before = {name: value.clone() for name, value in tuned.backbone.state_dict().items()}
    chosen = [p for p in tuned.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(chosen, lr=0.1)
    logits, embeddings = tuned(images())
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(4) % 2)
    (loss + embeddings.square().sum(dim=0).square().sum()).backward()
    optimizer.step()
    after = tuned.backbone.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == names(tuned)


@each
def test_a_bundle_is_served_without_the_library_that_adapted_it(options, tmp_path, monkeypatch):
    section = section_of(**options)
    detector = trained(detector_of(**options))
    words = [f"model={section.model_dump_json(exclude_defaults=True)}"]
    recipe = toy_recipe(tmp_path, "toy", *words)
    Bundle(
        detector=detector,
        preprocess=Preprocess(section),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=0.5,
        faces=recipe.faces.model_dump(mode="json"),
    ).save(tmp_path / "bundle")
    monkeypatch.setitem(sys.modules, "peft", None)
    loaded = Bundle.load(tmp_path / "bundle")
    torch.testing.assert_close(
        loaded.detector(images())[0], detector(images())[0], atol=1e-5, rtol=0
    )
    files = load_file(tmp_path / "bundle" / "model.safetensors")
    assert not any("lora" in name or "parametrizations" in name for name in files)
    assert loaded.recipe["model"]["tuning"] == section.tuning  # how it was trained stays known


def test_the_rate_of_added_parameters_decays_by_their_layer():
    from dfray.config import TrainingSection
    from dfray.training.optim import build_optimizer

    for tuning in ("lora", "svd", "adapter"):
        detector = detector_of(tuning)
        layers = {p: name for name, p in detector.backbone.named_parameters()}
        optimizer = build_optimizer(detector, TrainingSection(layer_decay=0.5))
        scales = {layers[p]: g["lr_scale"] for g in optimizer.param_groups for p in g["params"]}
        assert scales.keys() == names(detector)
        for name, scale in scales.items():
            block = (
                int(name.split(".")[1])
                if name.startswith("blocks")
                else len(detector.backbone.blocks)
            )
            assert scale == 0.5 ** (len(detector.backbone.blocks) - block), name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"tuning": "adapter", "tuning_rank": 4},
            "tuning_rank goes with tuning lora or svd, not adapter",
        ),
        ({"tuning": "adapter", "tuning_targets": ("qkv",)}, "tuning_targets goes with"),
        ({"tuning": "svd", "lora_alpha": 2}, "lora_alpha goes with tuning lora, not svd"),
        ({"tuning": "svd", "tuning_targets": ()}, "empty"),
        ({"tuning": "adapter", "embedding": "pooled"}, "pre_logits"),
        ({"tuning": "lora", "tuning_rank": 0}, "greater than or equal to 1"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ModelSection(**options)
