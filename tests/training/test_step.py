"""A step learns, clips, says what it did, and stops before a loss that is not finite does harm."""

import pytest
import torch

from dfray.config import (
    AugmentSection,
    HypersphereSection,
    MetricSection,
    ObjectiveSection,
    TripletSection,
)
from dfray.errors import TrainingError
from tests.training.kit import faces_and_labels, step_over


def test_steps_lower_the_loss_and_separate_the_embeddings():
    step, _ = step_over(weight=0.5)
    faces, labels = faces_and_labels(16)
    terms = [step(faces, labels, number) for number in range(12)]
    assert terms[-1]["loss"] < 0.5 * terms[0]["loss"]
    assert terms[-1]["active_triplets"] < terms[0]["active_triplets"]


def test_gives_the_terms_without_their_graph():
    step, _ = step_over()
    terms = step(*faces_and_labels(8), 0)
    assert set(terms) == {"loss", "cross_entropy", "triplet", "active_triplets"}
    assert not any(term.requires_grad for term in terms.values())
    torch.testing.assert_close(terms["loss"], terms["cross_entropy"] + 0.5 * terms["triplet"])


def test_the_rate_of_the_step_is_the_schedules():
    step, _ = step_over()
    step(*faces_and_labels(8), 2)
    assert step.optimizer.param_groups[0]["lr"] == step.schedule.at(2) == pytest.approx(0.75e-3)


def test_augmentation_is_drawn_from_the_seed():
    losses = []
    for seed in (1, 1, 2):
        step, _ = step_over(augment=AugmentSection(erasing=0.5))
        torch.manual_seed(seed)
        losses.append(step(*faces_and_labels(8), 0)["loss"].item())
    assert losses[0] == losses[1] != losses[2]


def gradient_norm(detector):
    gradients = [parameter.grad.flatten() for parameter in detector.parameters()]
    return torch.cat(gradients).norm().item()


def test_clipping_bounds_the_norm_of_the_gradient():
    free, free_detector = step_over()
    free(*faces_and_labels(8), 0)
    assert gradient_norm(free_detector) > 0.1
    clipped, detector = step_over(clip_norm=0.1)
    clipped(*faces_and_labels(8), 0)
    assert gradient_norm(detector) == pytest.approx(0.1, rel=1e-3)


def test_a_step_in_which_no_triplet_is_active_still_trains():
    step, detector = step_over()
    before = detector.backbone.fc.weight.detach().clone()
    faces, _ = faces_and_labels(8)
    assert step(faces, torch.zeros(8, dtype=torch.long), 0)["triplet"] == 0
    assert not torch.equal(detector.backbone.fc.weight, before)


def test_a_loss_that_is_not_finite_names_the_step_and_leaves_the_weights():
    step, detector = step_over()
    step(*faces_and_labels(8), 0)
    with torch.no_grad():
        detector.backbone.fc.bias[0] = torch.nan
    before = detector.backbone.fc.weight.detach().clone()
    with pytest.raises(TrainingError, match=r"step 41 .*cross_entropy nan.*training\.lr"):
        step(*faces_and_labels(8), 41)
    assert torch.equal(detector.backbone.fc.weight, before)


ARCFACE = MetricSection(name="ArcFaceLoss", options={"scale": 16.0}, lr_scale=10.0)


def test_the_parameters_of_a_loss_are_trained_at_their_own_rate_without_decay():
    step, _ = step_over(objective=ObjectiveSection(metric=ARCFACE))
    before = step.objective.metric.loss.W.detach().clone()
    terms = [step(*faces_and_labels(16), number) for number in range(12)]
    assert not torch.allclose(step.objective.metric.loss.W, before)
    assert terms[-1]["metric"] < terms[0]["metric"]
    group = step.optimizer.param_groups[-1]
    assert (group["lr"], group["weight_decay"]) == (pytest.approx(10 * step.schedule.at(11)), 0)


def test_validation_between_steps_leaves_a_loss_that_trains_on():
    step, detector = step_over(objective=ObjectiveSection(metric=ARCFACE))
    step(*faces_and_labels(16), 0)
    with torch.inference_mode():
        embeddings = torch.ones(4, detector.embedding_dim)
        step.objective.eval()(torch.zeros(4, 2), embeddings, torch.arange(4) % 2)
    before = step.objective.metric.loss.W.detach().clone()
    step(*faces_and_labels(16), 1)
    assert not torch.equal(step.objective.metric.loss.W, before)


def test_slerp_trains_the_head_on_features_within_classes():
    sphere = HypersphereSection(slerp=True, alignment=0.1, uniformity=0.5)
    step, detector = step_over(objective=ObjectiveSection(hypersphere=sphere))
    torch.manual_seed(0)
    before = detector.backbone.fc.weight.detach().clone()
    terms = [step(*faces_and_labels(16), number) for number in range(12)]
    assert terms[-1]["cross_entropy"] < 0.5 * terms[0]["cross_entropy"]
    assert not torch.equal(detector.backbone.fc.weight, before)


ALL_TERMS = ObjectiveSection(
    label_smoothing=0.1,
    triplet=TripletSection(weight="balance"),
    hypersphere=HypersphereSection(slerp=True, alignment=0.1, uniformity=0.5),
    metric=ARCFACE,
)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("objective", [None, ALL_TERMS], ids=["triplets", "all terms"])
def test_on_a_gpu_it_computes_in_bfloat16_and_keeps_float32_weights(objective):
    step, detector = step_over(objective=objective)
    for module in (detector, step.preprocess, step.augment, step.objective):
        module.to("cuda")
    terms = step(*faces_and_labels(8), 0)
    assert terms["loss"].is_cuda
    parameters = [*detector.parameters(), *step.objective.parameters()]
    assert all(parameter.dtype == torch.float32 for parameter in parameters)


def test_all_terms_go_together():
    step, _ = step_over(objective=ALL_TERMS)
    torch.manual_seed(0)
    terms = [step(*faces_and_labels(16), number) for number in range(12)]
    assert set(terms[0]) == {
        *("loss", "cross_entropy", "triplet", "active_triplets"),
        *("alignment", "uniformity", "metric"),
    }
    assert terms[-1]["cross_entropy"] < terms[0]["cross_entropy"]
    assert terms[-1]["alignment"] < terms[0]["alignment"]
