"""Which parameters decay, how fast each layer learns, and the curve of the learning rate."""

import math

import pytest
import torch

from dfray.config import ModelSection, TrainingSection
from dfray.models.backbone import build_detector
from dfray.training.optim import Schedule, build_optimizer


def detector_of(backbone):
    with torch.device("meta"):
        return build_detector(ModelSection(backbone=backbone), 2)


def settings_of_parameters(detector, **options):
    """name -> (weight_decay, lr_scale) of every parameter of the optimizer."""
    optimizer = build_optimizer(detector, TrainingSection(weight_decay=0.05, **options))
    names = {parameter: name for name, parameter in detector.named_parameters()}
    found = {
        names[parameter]: (group["weight_decay"], group.get("lr_scale", 1.0))
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found.keys() == set(names.values())
    return found


@pytest.mark.parametrize("layer_decay", [None, 0.75])
@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "resnet10t"])
def test_one_dimensional_and_excepted_parameters_do_not_decay(backbone, layer_decay):
    detector = detector_of(backbone)
    shapes = {name: parameter.ndim for name, parameter in detector.named_parameters()}
    for name, (decay, _) in settings_of_parameters(detector, layer_decay=layer_decay).items():
        excepted = name.endswith(("cls_token", "pos_embed"))
        assert decay == (0.0 if shapes[name] == 1 or excepted else 0.05), name


def test_layer_decay_has_the_papers_fourteen_scales_of_a_vit_base():
    scales = {
        name: scale
        for name, (_, scale) in settings_of_parameters(
            detector_of("vit_base_patch16_224"), layer_decay=0.75
        ).items()
    }
    assert sorted(set(scales.values())) == pytest.approx([0.75**k for k in range(13, -1, -1)])
    assert scales["backbone.head.weight"] == scales["backbone.fc_norm.bias"] == 1
    for block in range(12):
        assert scales[f"backbone.blocks.{block}.attn.qkv.weight"] == pytest.approx(
            0.75 ** (12 - block)
        )
    for name in ("cls_token", "pos_embed", "patch_embed.proj.weight"):
        assert scales[f"backbone.{name}"] == pytest.approx(0.75**13)


def test_layer_decay_of_a_convolutional_net_leaves_the_head_at_full_rate():
    settings = settings_of_parameters(detector_of("resnet10t"), layer_decay=0.5)
    assert settings["backbone.fc.weight"] == (0.05, 1.0)
    assert settings["backbone.layer4.0.conv1.weight"][1] == 0.5
    assert settings["backbone.conv1.0.weight"][1] < settings["backbone.layer1.0.conv1.weight"][1]


def test_the_rate_warms_up_linearly_and_falls_as_half_a_cosine():
    section = TrainingSection(epochs=30, warmup_epochs=5, lr=1e-4, min_lr=1e-6)
    schedule = Schedule.of(section, steps_per_epoch=10)
    assert (schedule.warmup_steps, schedule.total_steps) == (50, 300)
    assert schedule.at(0) == pytest.approx(1e-4 / 50)
    assert schedule.at(24) == pytest.approx(1e-4 / 2)
    assert schedule.at(49) == schedule.at(50) == pytest.approx(1e-4)
    assert schedule.at(175) == pytest.approx((1e-4 + 1e-6) / 2)
    assert schedule.at(100) == pytest.approx(1e-6 + 99e-6 * (1 + math.cos(math.pi / 5)) / 2)
    assert schedule.at(300) == schedule.at(999) == pytest.approx(1e-6)
    rates = [schedule.at(step) for step in range(50, 301)]
    assert rates == sorted(rates, reverse=True)


def test_the_rate_knows_nothing_of_the_batch():
    assert TrainingSection().lr == 1e-4
    optimizer = build_optimizer(detector_of("vit_tiny_patch16_224"), TrainingSection())
    schedule = Schedule.of(TrainingSection(warmup_epochs=0), steps_per_epoch=10)
    schedule.apply(optimizer, 0)
    assert {group["lr"] for group in optimizer.param_groups} == {1e-4}


def test_the_clip_papers_curve_is_half_a_cosine_between_its_two_rates():
    section = TrainingSection(lr=8e-5, min_lr=5e-5, warmup_epochs=0, epochs=10)  # arXiv 2503.19683
    schedule = Schedule.of(section, steps_per_epoch=100)
    assert schedule.at(0) == pytest.approx(8e-5)
    assert schedule.at(500) == pytest.approx(6.5e-5)
    assert schedule.at(1000) == pytest.approx(5e-5)


@pytest.mark.parametrize("warmup_epochs", [0, 0.5, 2, 5])
def test_the_rate_stays_within_its_bounds_whatever_the_warm_up(warmup_epochs):
    section = TrainingSection(epochs=2, warmup_epochs=warmup_epochs, lr=1e-3, min_lr=1e-5)
    schedule = Schedule.of(section, steps_per_epoch=7)
    assert all(0 < schedule.at(step) <= 1e-3 for step in range(20))


def test_the_schedule_sets_every_group_by_its_scale():
    optimizer = build_optimizer(
        detector_of("vit_tiny_patch16_224"), TrainingSection(layer_decay=0.5)
    )
    schedule = Schedule(lr=1.0, min_lr=0.0, warmup_steps=4, total_steps=8)
    for step in (3, 1, 6):  # any order: nothing is remembered
        schedule.apply(optimizer, step)
        for group in optimizer.param_groups:
            assert group["lr"] == schedule.at(step) * group["lr_scale"]
