"""The error of a failed run: the worker that failed first, its epoch and step, and the remedy."""

from __future__ import annotations

import pytest
from ray.exceptions import ActorDiedError
from ray.train import WorkerGroupError

from dfray.errors import ModelFileError, TrainingError
from dfray.training.failure import WorkerPosition, explain_failure

GLOO = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9")


def test_the_error_of_a_worker_states_its_rank_epoch_and_step():
    position = WorkerPosition(rank=1, workers=2, epochs=6)
    with pytest.raises(TrainingError) as first, position:
        raise KeyError("x")
    assert str(first.value).startswith("worker 1 of 2, before its first step: KeyError: 'x'.")
    position.move(epoch=2, step=7)
    with (
        pytest.raises(TrainingError, match=r"^worker 1 of 2, epoch 3 of 6, step 7: ") as later,
        position,
    ):
        raise RuntimeError("out of memory\nand pages more")
    assert "RuntimeError: out of memory. Start it again to resume" in str(later.value)


def test_an_error_of_dfray_stays_of_its_class_with_its_hint():
    with pytest.raises(ModelFileError) as caught, WorkerPosition(0, 2, 6):
        raise ModelFileError("No such file.", "Name one.")
    assert str(caught.value) == "worker 0 of 2, before its first step: No such file. Name one."


def test_a_lost_connection_is_not_reported_as_the_cause():
    with pytest.raises(RuntimeError, match="gloo") as caught, WorkerPosition(0, 2, 6):
        raise GLOO
    assert caught.value is GLOO
    cause = TrainingError("worker 1 of 2, epoch 1 of 6, step 3: ValueError: x.", "Correct it.")
    failed = WorkerGroupError("", {0: GLOO, 1: cause})
    assert explain_failure(failed, {}, 6) is cause


def test_a_worker_that_died_is_named_with_the_epoch_and_step_of_the_run():
    failed = WorkerGroupError("", {0: GLOO, 1: ActorDiedError()})
    error = explain_failure(failed, {"epoch": 2, "step": 7}, 6)
    assert isinstance(error, TrainingError)
    assert str(error).startswith("worker 1, epoch 3 of 6, about step 7: ActorDiedError: ")
    assert "Start it again to resume after the last epoch" in str(error)


def test_a_controller_that_failed_is_reported_with_its_cause():
    from ray.train import ControllerError

    error = explain_failure(ControllerError(ValueError("no such resource")), {}, 6)
    assert str(error).startswith("Training failed: ")
    assert "no such resource" in str(error)
