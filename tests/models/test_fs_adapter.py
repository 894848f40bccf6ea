"""FS-Adapter: what it computes, and that it is trained with the head."""

from __future__ import annotations

import pytest
import torch

from dfray.config import ModelSection, TrainingSection
from dfray.errors import RecipeError
from dfray.models.backbone import build_detector
from dfray.training.optim import build_optimizer

VIT = ModelSection(backbone="test_vit", size_px=160, fs_adapter=4, tuning="head")


def test_the_head_reads_the_embedding_and_the_adapters_output():
    torch.manual_seed(0)
    detector = build_detector(VIT, 2).eval()
    plain = build_detector(VIT.model_copy(update={"fs_adapter": None}), 2).eval()
    shared = {k: v for k, v in detector.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict({k: v for k, v in shared.items() if ".head." not in k}, strict=False)
    images = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        logits, embeddings = detector(images)
        _, features = plain(images)
        own = detector.state_dict()
        narrow = (features @ own["backbone.adapter.linear1.weight"].T).clamp(min=0)
        wide = (narrow @ own["backbone.adapter.linear2.weight"].T).clamp(min=0)
        expected = torch.cat([features, wide], dim=1)
        torch.testing.assert_close(embeddings, expected)
        head = expected @ own["backbone.head.weight"].T + own["backbone.head.bias"]
        torch.testing.assert_close(logits, head)
    assert detector.embedding_dim == 2 * plain.embedding_dim


@pytest.mark.parametrize("layer_decay", [None, 0.75])
def test_it_is_trained_with_the_head_alone(layer_decay):
    detector = build_detector(VIT, 2)
    optimizer = build_optimizer(detector, TrainingSection(layer_decay=layer_decay))
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {name for name, p in detector.backbone.named_parameters() if id(p) in trained} == {
        "adapter.linear1.weight",
        "adapter.linear2.weight",
        "head.weight",
        "head.bias",
    }


@pytest.mark.parametrize("changes", [{"backbone": "test_resnet"}, {"fs_adapter": 1000}])
def test_a_network_that_it_does_not_fit_is_refused(changes):
    with pytest.raises(RecipeError, match=r"model\.fs_adapter: \d+ does not fit"):
        build_detector(VIT.model_copy(update=changes), 2)


def test_it_does_not_go_with_the_embedding_before_fc_norm():
    with pytest.raises(ValueError, match="fs_adapter goes with embedding pre_logits"):
        ModelSection(fs_adapter=4, embedding="pooled")


def test_with_tuning_adapter_the_losses_see_a_projection_of_the_bottleneck():
    section = VIT.model_copy(update={"fs_adapter": None, "tuning": "adapter"})
    torch.manual_seed(0)
    detector = build_detector(section, 2).eval()
    adapter = detector.backbone.adapter
    images = torch.randn(3, 3, 160, 160)
    features = detector.backbone.forward_features(images)
    plain = detector.backbone.forward_head(features, pre_logits=True)
    narrow = (plain @ adapter.linear1.weight.T).clamp(min=0)
    projected = narrow @ adapter.projector.weight.T + adapter.projector.bias
    logits, embeddings = detector(images)
    torch.testing.assert_close(embeddings, torch.nn.functional.normalize(projected, dim=1))
    assert detector.embedding_dim == embeddings.shape[1] == 16  # a quarter of 64
    head, read = detector.backbone.head, adapter(plain)[0]
    torch.testing.assert_close(logits, read @ head.weight.T + head.bias)
    trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    assert trained == 2 * 64 * 16 + (16 * 16 + 16) + (2 * 128 + 2)
