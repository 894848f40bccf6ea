"""A loss that is not finite is told with its step however late it is read, and does no harm meanwhile."""

import copy

import numpy as np
import pytest
import torch

from dfray.errors import TrainingError
from dfray.run_folder import RunFolder
from dfray.training.finite import FiniteGuard, NotFiniteError, require_finite_weights
from dfray.training.launch import worker_config
from dfray.training.worker import Worker
from tests.helpers.toy import toy_recipe, write_toy_faces
from tests.training.kit import faces_and_labels, step_over
from tests.training.one_process import OneProcess

LAG = 3


def break_at(objective, call):
    """Make the loss NaN from this call in training on, 0 being the first."""
    calls = iter(range(10_000))

    def spoil(module, _inputs, terms):
        spoilt = module.training and next(calls) >= call
        return terms | {"loss": terms["loss"] * (torch.nan if spoilt else 1)}

    objective.register_forward_hook(spoil)


def state_of(step, detector):
    return copy.deepcopy([detector.state_dict(), step.optimizer.state_dict()])


def assert_weights_and_moments_are(step, detector, expected):
    weights, optimizer = expected
    for name, parameter in detector.named_parameters():
        assert torch.equal(parameter, weights[name]), name
    for key, moments in step.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, optimizer["state"][key][name]), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_is_told_some_steps_later_and_the_weights_are_those_before_it(accumulate):
    step, detector = step_over(guard=FiniteGuard(LAG), clip_norm=1.0, accumulate=accumulate)
    break_at(step.objective, call=2 * accumulate)
    for number in range(2):
        step(*faces_and_labels(8), number)
    before = state_of(step, detector)
    for number in range(2, 2 + LAG // accumulate):
        step(*faces_and_labels(8), number)
    with pytest.raises(NotFiniteError, match=r"not finite \(loss nan, cross_entropy") as caught:
        step(*faces_and_labels(8), 2 + LAG // accumulate)
    assert caught.value.step == 2
    assert np.isnan(caught.value.terms["loss"])
    assert_weights_and_moments_are(step, detector, before)


def test_until_then_the_steps_are_those_of_a_guard_that_reads_at_once():
    faces, labels = faces_and_labels(8)
    at_once, expected = step_over()
    late, detector = step_over(guard=FiniteGuard(LAG))
    for number in range(4):
        torch.testing.assert_close(
            late(faces, labels, number), at_once(faces, labels, number), rtol=0, atol=0
        )
    for parameter, other in zip(detector.parameters(), expected.parameters(), strict=True):
        assert torch.equal(parameter, other)


def test_at_the_end_all_are_read():
    step, _ = step_over(guard=FiniteGuard(LAG))
    step.guard.settle()
    break_at(step.objective, call=1)
    for number in range(2):
        step(*faces_and_labels(8), number)
    with pytest.raises(NotFiniteError) as caught:
        step.guard.settle()
    assert caught.value.step == 1


def test_an_infinite_loss_is_none():
    guard = FiniteGuard()
    guard.watch({"loss": torch.tensor(1e38)}, 0)
    for value in (torch.inf, -torch.inf):
        with pytest.raises(NotFiniteError):
            guard.watch({"loss": torch.tensor(value)}, 1)


def test_weights_that_are_not_finite_are_named():
    _, detector = step_over()
    require_finite_weights(detector)
    with torch.no_grad():
        detector.backbone.fc.bias[0] = torch.inf
    with pytest.raises(TrainingError, match=r"not saved: backbone\.fc\.bias\. Lower training\.lr"):
        require_finite_weights(detector)


@pytest.fixture
def worker(tmp_path):
    recipe = toy_recipe(tmp_path, "alone", "training.epochs=3", "training.num_workers=1")
    write_toy_faces(recipe)
    return Worker(worker_config(recipe, RunFolder(recipe)), OneProcess(tmp_path))


@pytest.mark.parametrize("lag", [0, LAG])
@pytest.mark.parametrize("before_the_end", [1, 3])
def test_a_worker_names_the_step_and_saves_its_batch_before_the_epoch_ends(
    worker, lag, before_the_end
):
    steps = worker._reader("train").steps
    failing = 2 * steps - before_the_end  # in the second epoch
    break_at(worker.step.objective, call=failing)
    worker.step.guard.lag = lag
    told = rf"epoch 2 of 3, step {failing - steps + 1}: The loss is not finite"
    with pytest.raises(TrainingError, match=told), worker.position:
        worker.run()
    assert worker.context.reported == [1]
    expected = list(worker._reader("train").epoch(1))[failing - steps]
    saved = f"{worker.folder.not_finite}/step-{failing:06d}-worker-0.npz"
    with np.load(saved) as batch:
        assert np.array_equal(batch["images"], expected.images)


def test_weights_that_are_not_finite_are_never_saved(worker, tmp_path):
    with torch.no_grad():
        next(worker.learner.detector.parameters()).view(-1)[0] = torch.nan
    folder = tmp_path / "saved"
    folder.mkdir()
    with pytest.raises(TrainingError, match="are not saved"):
        worker.learner.save(folder, [])
    assert not list(folder.iterdir())
