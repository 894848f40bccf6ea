"""LoRA reaches the layers it names, on every family of backbones, and says so if it cannot."""

from __future__ import annotations

import sys

import pytest
import torch

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.backbone import build_detector
from dfray.models.tuning.counts import ParameterCounts
from tests.models.tuning.kit import detector_of, images, section_of

FAMILIES = {
    "vit_tiny_patch16_224": 64,
    "vit_base_patch32_clip_quickgelu_224": 64,
    "vit_pe_core_tiny_patch16_384": 64,
    "vit_small_patch16_dinov3": 64,
    "eva02_tiny_patch14_224": 56,
    "swin_tiny_patch4_window7_224": 224,
    "swinv2_tiny_window8_256": 256,
    "beit_base_patch16_224": 224,
}
"""Backbone -> size; EVA's, SwinV2's and BEiT's attention can read its weights past the linear layers."""


@pytest.mark.parametrize("backbone", FAMILIES)
def test_every_product_gets_a_gradient_and_adds_to_its_layer(backbone):
    torch.manual_seed(0)
    size = FAMILIES[backbone]
    section = ModelSection(backbone=backbone, size_px=size, tuning="lora", tuning_rank=1)
    detector = build_detector(section, 2)
    for parameter in detector.parameters():  # SwinV2's norms start at 0 and let no gradient through
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    detector(images(size)[:1])[0].sum().backward()
    seconds = {n: p for n, p in detector.named_parameters() if "lora_B" in n}
    assert len(seconds) >= 2 * 12
    without = [name for name, p in seconds.items() if p.grad is None or not p.grad.any()]
    assert without == []


def test_its_parameters_are_two_thin_matrices_of_each_layer():
    counts = ParameterCounts.of(detector_of("lora", tuning_rank=4).backbone)
    assert counts.trained == 6 * 4 * ((64 + 3 * 64) + (64 + 64))
    assert counts.head == 130


def test_alpha_scales_the_product():
    outputs = []
    for alpha in (None, 8, 16):  # the rank is 8: the first two are one
        detector = detector_of("lora", lora_alpha=alpha)
        for name, parameter in detector.named_parameters():
            if "lora_B" in name:
                parameter.data.fill_(0.01)
        outputs.append(detector(images())[0])
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[1], outputs[2])


def test_without_peft_it_is_refused_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(RecipeError, match=r"needs peft.*dfray\[adapters\]"):
        build_detector(section_of("lora"), 2)
