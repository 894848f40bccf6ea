"""A compiled step, network and objective in one graph, is the plain step."""

import copy

import pytest
import torch

from dfray.config import (
    HypersphereSection,
    MetricSection,
    ObjectiveSection,
    TrainingSection,
    TripletSection,
)
from dfray.training.finite import FiniteGuard, NotFiniteError
from dfray.training.step import compiled_terms, compute_terms
from tests.training.kit import faces_and_labels, step_over

FAR = 10.0  # a margin within which most triplets are active for some steps
TRIPLETS = ObjectiveSection(triplet=TripletSection(weight=0.5, margin=FAR))
OBJECTIVES = {
    "batch_all": TRIPLETS,
    "batch_hard": ObjectiveSection(
        triplet=TripletSection(weight=0.5, margin=FAR, strategy="batch_hard")
    ),
    "balance": ObjectiveSection(
        triplet=TripletSection(weight="balance", balance_steps=2, margin=FAR)
    ),
    "hypersphere": ObjectiveSection(
        hypersphere=HypersphereSection(slerp=True, alignment=0.1, uniformity=0.5)
    ),
    "metric": ObjectiveSection(metric=MetricSection(name="ArcFaceLoss", options={"scale": 16.0})),
}


@pytest.fixture(autouse=True)
def _compiled_anew():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def assert_same_steps(plain, compiled, count=5, batch=16, warm=1):
    """Take `count` steps with both, whose rates differ; only the first `warm` may compile."""
    (step, detector), (fast, fast_detector) = plain, compiled
    faces, labels = faces_and_labels(batch)
    rates = set()
    for number in range(count):
        torch.manual_seed(number)
        expected = step(faces, labels, number)
        torch.manual_seed(number)
        with torch.compiler.set_stance("fail_on_recompile" if number >= warm else "default"):
            terms = fast(faces, labels, number)
        torch.testing.assert_close(terms, expected, rtol=1e-5, atol=1e-5)
        rates.add(fast.optimizer.param_groups[0]["lr"])
    assert len(rates) >= count - 1  # the schedule turns once
    for (name, parameter), other in zip(
        fast_detector.named_parameters(), detector.parameters(), strict=True
    ):
        torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-5, msg=name)
    return expected


def compiled_by(backend):
    return torch.compile(compute_terms, backend=backend)


# torch looks at the gradient of what comes from before a break of the graph
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_is_the_plain_step_for_every_objective(name):
    options = {"backbone": "test_vit", "objective": OBJECTIVES[name]}
    assert_same_steps(
        step_over(**options),
        step_over(**options, terms=compiled_by("aot_eager")),
        warm=4 if name == "balance" else 2,
    )


def test_network_and_batch_all_triplets_are_one_graph():
    options = {"backbone": "test_vit", "objective": TRIPLETS}
    whole = torch.compile(compute_terms, backend="aot_eager", fullgraph=True)
    step, _ = step_over(**options, terms=whole)
    assert step(*faces_and_labels(16), 0)["active_triplets"] > 0.5


@pytest.mark.parametrize("options", [{"accumulate": 2}, {"ema": 0.9}, {"clip_norm": 0.1}])
def test_accumulation_average_and_clipping_go_with_it(options):
    options |= {"backbone": "test_vit", "objective": TRIPLETS}
    assert_same_steps(step_over(**options), step_over(**options, terms=compiled_by("aot_eager")))


def test_a_resumed_training_goes_on_as_the_plain_one():
    options = {"backbone": "test_vit", "objective": TRIPLETS}
    plain, compiled = step_over(**options), step_over(**options, terms=compiled_by("aot_eager"))
    assert_same_steps(plain, compiled, count=2)
    weights, moments = plain[1].state_dict(), copy.deepcopy(plain[0].optimizer.state_dict())
    resumed = step_over(**options, terms=compiled_by("aot_eager"))
    resumed[1].load_state_dict(weights)
    resumed[0].optimizer.load_state_dict(moments)
    assert_same_steps(plain, resumed, count=3)


def test_a_loss_that_is_not_finite_is_told_by_a_compiled_step_too():
    step, detector = step_over(
        "test_vit", terms=compiled_by("aot_eager"), guard=FiniteGuard(lag=2), objective=TRIPLETS
    )
    step(*faces_and_labels(8), 0)
    with torch.no_grad():
        detector.backbone.head.bias[0] = torch.nan
    before = detector.backbone.head.weight.detach().clone()
    for number in (1, 2):
        step(*faces_and_labels(8), number)
    with pytest.raises(NotFiniteError) as caught:
        step(*faces_and_labels(8), 3)
    assert caught.value.step == 1
    assert torch.equal(detector.backbone.head.weight, before)


def test_it_is_off_by_default():
    assert not TrainingSection().compile


@pytest.mark.slow
def test_compiled_for_this_machine_it_is_the_plain_step():
    options = {"backbone": "test_vit", "objective": TRIPLETS, "accumulate": 2}
    terms = compiled_terms(torch.device("cpu"))
    assert_same_steps(step_over(**options), step_over(**options, terms=terms))


def on_gpu(step, detector):
    for module in (detector, step.augment, step.objective):
        module.to("cuda")
    return step, detector


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("accumulate", [1, 2])
def test_captured_on_a_gpu_it_is_the_plain_step(accumulate):
    options = {"backbone": "test_vit", "objective": TRIPLETS, "accumulate": accumulate}
    terms = compiled_terms(torch.device("cuda"))
    plain, captured = on_gpu(*step_over(**options)), on_gpu(*step_over(**options, terms=terms))
    assert_same_steps(plain, captured, count=8, warm=3)
