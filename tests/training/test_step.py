"""A step learns, clips, says what it did, and stops before a loss that is not finite does harm."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from dfray.batches.augment import mixer
from dfray.config import (
    AugmentSection,
    HypersphereSection,
    MetricSection,
    ObjectiveSection,
    TripletSection,
)
from dfray.errors import TrainingError
from dfray.training.step import compiled_terms, compute_dtype, compute_terms, forward
from tests.helpers.gpu import waits_for_a_gpu
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


def gradient_norm(*modules):
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item()


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


def test_a_loss_that_is_not_finite_is_told_and_leaves_the_weights():
    step, detector = step_over()
    step(*faces_and_labels(8), 0)
    with torch.no_grad():
        detector.backbone.fc.bias[0] = torch.nan
    before = detector.backbone.fc.weight.detach().clone()
    with pytest.raises(TrainingError, match=r"not finite .*cross_entropy nan.*training\.lr"):
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


def test_the_parameters_of_a_loss_are_clipped_with_the_models():
    step, detector = step_over(objective=ObjectiveSection(metric=ARCFACE), clip_norm=0.1)
    step(*faces_and_labels(16), 0)
    assert gradient_norm(step.objective) > 0
    assert gradient_norm(detector, step.objective) == pytest.approx(0.1, rel=1e-3)


def test_validation_between_steps_leaves_a_loss_that_trains_on():
    step, detector = step_over(objective=ObjectiveSection(metric=ARCFACE))
    step(*faces_and_labels(16), 0)
    with torch.inference_mode():
        embeddings = torch.ones(4, detector.embedding_dim)
        step.objective.eval()(torch.zeros(4, 2), embeddings, torch.arange(4) % 2)
    before = step.objective.metric.loss.W.detach().clone()
    step(*faces_and_labels(16), 1)
    assert not torch.equal(step.objective.metric.loss.W, before)


def test_a_detector_that_was_used_between_steps_trains_on():
    step, detector = step_over(wrap=partial(torch.compile, backend="eager"))
    step(*faces_and_labels(8), 0)
    mean = detector.backbone.bn1.running_mean
    detector.eval()  # as `Bundle.predict` does
    before = mean.clone()
    step(*faces_and_labels(8), 1)
    assert all(module.training for module in detector.modules())
    assert not torch.equal(mean, before)


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


def gradients_of(faces, labels, **options):
    step, detector = step_over("test_vit", **options)
    terms = step(faces, labels, 0)
    return {name: p.grad.clone() for name, p in detector.named_parameters()}, terms


def assert_same(gradients, expected):
    largest = max(gradient.abs().max() for gradient in expected.values()).item()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            gradients[name], gradient, rtol=1e-4, atol=1e-6 * largest, msg=name
        )


def test_accumulated_gradients_and_terms_are_means_over_the_parts():
    faces, labels = faces_and_labels(12)
    together, told = gradients_of(faces, labels, accumulate=3)
    parts = [gradients_of(faces[i : i + 4], labels[i : i + 4]) for i in range(0, 12, 4)]
    assert_same(together, {name: sum(part[0][name] for part in parts) / 3 for name in together})
    for name, value in told.items():
        torch.testing.assert_close(value, sum(part[1][name] for part in parts) / 3)


def test_accumulation_of_cross_entropy_alone_is_the_whole_batch():
    faces, labels = faces_and_labels(12)
    whole, _ = gradients_of(faces, labels, weight=0)
    assert_same(gradients_of(faces, labels, weight=0, accumulate=4)[0], whole)


def test_a_moving_average_follows_the_weights():
    step, detector = step_over("test_vit", ema=0.9)
    faces, labels = faces_and_labels(8)
    weight, averaged = (net.backbone.head.weight for net in (detector, step.average.module))
    expected = None
    for number in range(4):
        step(faces, labels, number)
        decay = min(0.9, 1 - (number + 1) ** (-2 / 3)) if number else 0
        expected = (
            weight.detach() if not number else expected * decay + weight.detach() * (1 - decay)
        )
        torch.testing.assert_close(averaged, expected)
        expected = expected.clone()
    assert not torch.equal(averaged, weight)


def test_bfloat16_by_option_leaves_weights_and_terms_in_float32():
    assert compute_dtype("auto", torch.device("cpu")) == torch.float32
    dtype = compute_dtype("bf16", torch.device("cpu"))
    step, detector = step_over("test_vit", dtype=dtype)
    assert forward(detector, torch.rand(2, 3, 32, 32), dtype)[0].dtype == torch.bfloat16
    faces, labels = faces_and_labels(16)
    terms = [step(faces, labels, number) for number in range(12)]
    assert {term.dtype for term in terms[0].values()} == {torch.float32}
    assert terms[-1]["loss"] < 0.5 * terms[0]["loss"]
    assert {parameter.dtype for parameter in detector.parameters()} == {torch.float32}


def test_a_mixed_batch_is_judged_by_its_soft_labels():
    faces, labels = faces_and_labels(16)
    mix = mixer(AugmentSection(mixup=0.8, cutmix=1.0), 2)
    step, _ = step_over("test_vit", weight=0, mix=mix)
    np.random.seed(1)
    told = step(faces, labels, 0)["loss"]

    step, detector = step_over("test_vit", weight=0)
    np.random.seed(1)
    images, soft = mix(step.augment(faces.permute(0, 3, 1, 2)), labels)
    assert 0 < soft[0, 0] < 1
    logits, _ = detector(images)
    torch.testing.assert_close(told, -(soft * logits.log_softmax(1)).sum(1).mean())


def test_a_compiled_step_is_the_same_and_saves_the_same_names():
    faces, labels = faces_and_labels(8)
    plain, plain_detector = step_over("test_vit")
    step, detector = step_over(
        "test_vit", terms=torch.compile(compute_terms, backend="aot_eager"), ema=0.9
    )
    for number in range(3):
        with torch.compiler.set_stance("fail_on_recompile" if number else "default"):
            told = step(faces, labels, number)["loss"]
        torch.testing.assert_close(told, plain(faces, labels, number)["loss"])
    assert detector.state_dict().keys() == plain_detector.state_dict().keys()
    assert step.average.module.state_dict().keys() == plain_detector.state_dict().keys()


def taken_on(device, dtype=torch.float32, **options):
    """Loss, embeddings and gradients of a first step, on the CPU."""
    step, detector = step_over(**options)
    for module in (detector, step.augment, step.objective):
        module.to(device)
    faces, labels = faces_and_labels(16)
    with torch.no_grad():
        _, embeddings = forward(detector, step.augment.preprocess(faces.to(device)), dtype)
    loss = replace(step, dtype=dtype)(faces, labels, 0)["loss"]
    gradients = torch.cat([p.grad.flatten() for p in detector.parameters()])
    return [part.detach().cpu().float() for part in (loss, embeddings, gradients)]


@pytest.fixture
def _no_tf32(monkeypatch):
    for part in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):
        monkeypatch.setattr(part, "fp32_precision", "ieee")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.usefixtures("_no_tf32")
@pytest.mark.parametrize(
    ("backbone", "dtype", "bounds"),
    [
        ("test_vit", torch.float32, (1e-5, 1e-5, 1e-5)),
        ("test_resnet", torch.float32, (1e-5, 1e-5, 1e-5)),
        ("test_vit", torch.bfloat16, (5e-3, 1e-2, 1e-2)),
        ("test_resnet", torch.bfloat16, (2e-2, 4e-2, 0.3)),  # BatchNorm over 16 faces of noise
    ],
)
def test_a_gpu_takes_the_same_step_as_a_cpu(backbone, dtype, bounds):
    """Loss, embeddings and gradients, by the norm of the difference over the norm."""
    here = taken_on("cpu", backbone=backbone)
    there = taken_on("cuda", dtype, backbone=backbone)
    off = [((a - b).norm() / a.norm()).item() for a, b in zip(here, there, strict=True)]
    print(
        f"{backbone}, {dtype}: loss {off[0]:.1e}, embeddings {off[1]:.1e}, gradients {off[2]:.1e}"
    )
    assert all(found < bound for found, bound in zip(off, bounds, strict=True)), off


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_step_does_not_wait_for_a_gpu():
    step, detector = step_over("test_vit", augment=AugmentSection(randaugment="rand-m9-inc1"))
    for module in (detector, step.augment, step.objective):
        module.to("cuda")
    faces, labels = (part.cuda() for part in faces_and_labels(16))
    for number in range(2):
        step(faces, labels, number)
    assert waits_for_a_gpu(lambda: step(faces, labels, 2)) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_a_step_compiled_for_a_gpu_is_the_same():
    plain = taken_on("cuda", torch.bfloat16, backbone="test_vit")
    compiled = taken_on(
        "cuda", torch.bfloat16, backbone="test_vit", terms=compiled_terms(torch.device("cuda"))
    )
    off = [((a - b).norm() / a.norm()).item() for a, b in zip(plain, compiled, strict=True)]
    print(f"compiled: loss {off[0]:.1e}, embeddings {off[1]:.1e}, gradients {off[2]:.1e}")
    assert max(off) < 1e-2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("objective", [None, ALL_TERMS], ids=["triplets", "all terms"])
def test_on_a_gpu_it_computes_in_bfloat16_and_keeps_float32_weights(objective):
    step, detector = step_over(objective=objective)
    for module in (detector, step.augment, step.objective):
        module.to("cuda")
    dtype = compute_dtype("auto", torch.device("cuda"))
    assert dtype == torch.bfloat16
    terms = replace(step, dtype=dtype)(*faces_and_labels(8), 0)
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
