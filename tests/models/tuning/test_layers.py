"""What is trained and what is frozen, on every family of backbones, counted and seen in a real step."""

from contextlib import nullcontext
from functools import cache

import pytest
import torch

from dfray.config import ModelSection, TrainingSection
from dfray.errors import RecipeError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.tuning.counts import ParameterCounts
from dfray.training.optim import build_optimizer

FAMILIES = [
    "vit_tiny_patch16_224",
    "vit_base_patch32_clip_quickgelu_224",
    "vit_small_patch16_dinov3",
    "vit_pe_core_tiny_patch16_384",
    "resnet10t",
    "efficientnet_b0",
    "convnext_atto",
    "swin_tiny_patch4_window7_224",
]


def detector_of(backbone, size_px=224, device="meta", **options):
    torch.manual_seed(0)
    with torch.device(device), SkipDraws() if device == "meta" else nullcontext():
        return build_detector(ModelSection(backbone=backbone, size_px=size_px, **options), 2)


@cache
def unchanged(backbone, **options):
    """A detector without storage that several tests look at."""
    return detector_of(backbone, **options)


def trained(detector):
    return {name for name, p in detector.backbone.named_parameters() if p.requires_grad}


def test_layer_norms_of_clip_are_the_papers_share_of_its_parameters():
    detector = detector_of("vit_large_patch14_clip_quickgelu_224", tuning="norm_layers")
    counts = ParameterCounts.of(detector.backbone)
    assert counts == ParameterCounts(trained=102_400, backbone=303_179_776, head=2050)
    assert str(counts) == (
        "102,400 of 303,179,776 backbone parameters are trained (0.034%), and 2,050 of the head"
    )
    assert detector.description() == [str(counts)]


@pytest.mark.parametrize("backbone", FAMILIES)
def test_full_trains_all_and_head_the_head_alone(backbone):
    full, head = unchanged(backbone), detector_of(backbone, tuning="head")
    classifier = head.backbone.get_classifier()
    assert trained(full) == {name for name, _ in full.backbone.named_parameters()}
    assert all(p.requires_grad for p in classifier.parameters())
    counts = ParameterCounts.of(head.backbone)
    assert counts.trained == 0
    assert counts.head == 2 * head.embedding_dim + 2


@pytest.mark.parametrize("backbone", FAMILIES)
def test_norm_layers_train_every_scale_and_shift_and_no_matrix(backbone):
    detector = detector_of(backbone, tuning="norm_layers")
    parameters = dict(detector.backbone.named_parameters())
    chosen = trained(detector) - {f"{_head(detector)}.weight", f"{_head(detector)}.bias"}
    assert chosen
    assert all(parameters[name].ndim == 1 for name in chosen)
    named = {name for name in parameters if "norm" in name.rpartition(".")[0].rpartition(".")[2]}
    assert named <= chosen


def _head(detector):
    head = detector.backbone.get_classifier()
    return next(name for name, module in detector.backbone.named_modules() if module is head)


@pytest.mark.parametrize("backbone", FAMILIES)
def test_last_blocks_grow_from_the_head_towards_the_stem(backbone):
    first, second = (
        trained(detector_of(backbone, tuning="last_blocks", tuned_blocks=n)) for n in (1, 2)
    )
    full = unchanged(backbone)
    head = _head(full)
    assert {f"{head}.weight", f"{head}.bias"} < first < second < trained(full)
    assert next(iter(dict(full.backbone.named_parameters()))) not in second


def test_the_last_blocks_of_a_vit_are_its_last_blocks():
    chosen = trained(detector_of("vit_tiny_patch16_224", tuning="last_blocks", tuned_blocks=2))
    assert {name.split(".")[1] for name in chosen if name.startswith("blocks")} == {"10", "11"}
    others = {name for name in chosen if not name.startswith("blocks")}
    assert others == {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}
    clip = detector_of("vit_base_patch32_clip_quickgelu_224", tuning="last_blocks", tuned_blocks=1)
    assert {"norm.weight", "norm.bias"} < trained(clip)  # after the last block


def test_more_blocks_than_there_are_are_refused():
    assert trained(detector_of("vit_tiny_patch16_224", tuning="last_blocks", tuned_blocks=12))
    with pytest.raises(RecipeError, match="has 12 blocks, not 13"):
        detector_of("vit_tiny_patch16_224", tuning="last_blocks", tuned_blocks=13)


def test_a_backbone_without_norms_cannot_be_tuned_in_them():
    with pytest.raises(RecipeError, match="no normalisation layer"):
        detector_of("vgg11", tuning="norm_layers")


@pytest.mark.parametrize("layer_decay", [None, 0.75])
@pytest.mark.parametrize("options", [{"tuning": "head"}, {"tuning": "norm_layers"}])
def test_the_optimizer_holds_what_is_trained_and_nothing_else(options, layer_decay):
    detector = detector_of("vit_tiny_patch16_224", **options)
    optimizer = build_optimizer(detector, TrainingSection(layer_decay=layer_decay))
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in detector.parameters() if p.requires_grad}


@pytest.mark.parametrize("backbone", ["resnet10t", "vit_tiny_patch16_224"])
@pytest.mark.parametrize(
    "options",
    [
        {"tuning": "head"},
        {"tuning": "norm_layers"},
        {"tuning": "last_blocks", "tuned_blocks": 1},
        {"tuning": "full"},
    ],
)
def test_a_step_changes_what_is_trained_and_leaves_the_rest_to_the_bit(backbone, options):
    detector = detector_of(backbone, size_px=32, device="cpu", **options)
    for parameter in detector.parameters():  # some norms start at 0 and let no gradient through
        torch.nn.init.normal_(parameter, std=0.1)
    before = {name: value.clone() for name, value in detector.backbone.state_dict().items()}
    optimizer = build_optimizer(detector, TrainingSection(lr=0.1))
    detector.train()
    logits, _ = detector(torch.randn(8, 3, 32, 32))
    torch.nn.functional.cross_entropy(logits, torch.arange(8) % 2).backward()
    optimizer.step()
    after = detector.backbone.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parameters = {name for name, _ in detector.backbone.named_parameters()}
    assert changed & parameters == trained(detector)
    modules_changed = {name.rpartition(".")[0] for name in changed - parameters}
    assert modules_changed <= {name.rpartition(".")[0] for name in trained(detector)}


def test_statistics_of_what_is_trained_still_run():
    detector = detector_of("resnet10t", device="cpu", size_px=32, tuning="norm_layers").train()
    before = detector.backbone.layer4[0].bn1.running_mean.clone()
    detector(torch.randn(4, 3, 32, 32))
    assert not torch.equal(detector.backbone.layer4[0].bn1.running_mean, before)
