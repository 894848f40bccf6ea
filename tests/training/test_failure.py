"""What a failed run says: the worker that failed by itself, where it was, and what to do."""

from __future__ import annotations

import pytest
from ray.exceptions import ActorDiedError
from ray.train import WorkerGroupError

from dfray.errors import ModelFileError, TrainingError
from dfray.training.failure import Place, explain_failure

GLOO = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9")


def test_what_a_worker_raises_says_which_it_is_and_where_it_was():
    place = Place(rank=1, workers=2, epochs=6)
    with pytest.raises(TrainingError) as first, place:
        raise KeyError("x")
    assert str(first.value).startswith("worker 1 of 2, before its first step: KeyError: 'x'.")
    place.move(epoch=2, step=7)
    with (
        pytest.raises(TrainingError, match=r"^worker 1 of 2, epoch 3 of 6, step 7: ") as later,
        place,
    ):
        raise RuntimeError("out of memory\nand pages more")
    assert "RuntimeError: out of memory. Start it again to go on" in str(later.value)


def test_an_error_of_ours_keeps_its_kind_and_its_mend():
    with pytest.raises(ModelFileError) as caught, Place(0, 2, 6):
        raise ModelFileError("No such file.", "Name one.")
    assert str(caught.value) == "worker 0 of 2, before its first step: No such file. Name one."


def test_a_worker_that_lost_the_others_is_not_taken_for_the_cause():
    with pytest.raises(RuntimeError, match="gloo") as caught, Place(0, 2, 6):
        raise GLOO
    assert caught.value is GLOO
    own = TrainingError("worker 1 of 2, epoch 1 of 6, step 3: ValueError: x.", "Mend it.")
    failed = WorkerGroupError("", {0: GLOO, 1: own})
    assert explain_failure(failed, {}, 6) is own


def test_a_worker_that_died_is_named_with_where_the_run_was():
    failed = WorkerGroupError("", {0: GLOO, 1: ActorDiedError()})
    told = explain_failure(failed, {"epoch": 2, "step": 7}, 6)
    assert isinstance(told, TrainingError)
    assert str(told).startswith("worker 1, epoch 3 of 6, about step 7: ActorDiedError: ")
    assert "Start it again to go on after the last epoch" in str(told)


def test_a_controller_that_failed_is_told_by_its_cause():
    from ray.train import ControllerError

    told = explain_failure(ControllerError(ValueError("no such resource")), {}, 6)
    assert str(told).startswith("Training failed: ")
    assert "no such resource" in str(told)
