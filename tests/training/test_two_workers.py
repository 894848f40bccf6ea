"""Two real workers with half a batch each take the step of one worker with the whole batch."""

import os
import subprocess
import sys
from functools import cache

import pytest
import torch

from tests.training import ddp_worker

SHARES = {
    "balanced": [[0, 1, 2, 3, 4, 6], [5, 7, 8, 9, 10, 11]],
    "uneven classes": [[0, 1, 4, 5, 8, 2], [3, 6, 7, 9, 10, 11]],
    "one class each": [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]],
}
OBJECTIVES = {
    "batch all": {"triplet": {"weight": 0.7}},
    "batch hard": {"triplet": {"weight": 0.7, "strategy": "batch_hard"}},
    "easy positive": {"triplet": {"weight": 0.7, "strategy": "easy_positive"}},
    "balanced weight": {"triplet": {"weight": "balance"}},
    "smoothed": {"label_smoothing": 0.2},
    "hypersphere": {"hypersphere": {"alignment": 0.3, "uniformity": 0.7}},
    "ArcFace": {"metric": {"name": "ArcFaceLoss", "options": {"scale": 8.0}}},
    "SupCon": {"metric": {"name": "SupConLoss"}},
    "ProxyAnchor": {"metric": {"name": "ProxyAnchorLoss"}},
}
CASES = [
    *((shares, "batch all") for shares in ("balanced", "one class each")),
    *(("uneven classes", objective) for objective in OBJECTIVES),
]

SLERP = {"hypersphere": {"slerp": True}}
DRAWING = {
    "metric": {"name": "MarginLoss", "options": {"learn_beta": True, "triplets_per_anchor": 1}}
}
OTHERS = {
    "steps": {"objective": OBJECTIVES["ArcFace"] | {"triplet": {"weight": "balance"}}, "steps": 4},
    "slerp": {"objective": SLERP},
    "drawing": {"objective": DRAWING, "steps": 4},
}
INSIDE = {"shares": SHARES["uneven classes"], "objective": OBJECTIVES["ArcFace"]}
ACCUMULATED = INSIDE | {"objective": OBJECTIVES["batch all"], "accumulate": 3}
each_case = pytest.mark.parametrize("case", CASES, ids=" of ".join)


def arguments():
    """name -> arguments of `ddp_worker.gradients`."""
    cases = {case: {"shares": SHARES[case[0]], "objective": OBJECTIVES[case[1]]} for case in CASES}
    return cases | {
        name: {"shares": SHARES["uneven classes"]} | more for name, more in OTHERS.items()
    }


@cache
def of_one_worker(name):
    """What one worker with the whole batch does."""
    asked = arguments()[name]
    whole = [[index for share in asked["shares"] for index in share]]
    return ddp_worker.gradients(**asked | {"shares": whole}, rank=0)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """What two processes over gloo on loopback gave: (name, rank) -> gradients, terms, ..."""
    folder = tmp_path_factory.mktemp("workers")
    asked = arguments()
    torch.save(list(asked.values()), folder / "cases.pt")
    torch.save(INSIDE, folder / "inside.pt")
    torch.save(ACCUMULATED, folder / "accumulated.pt")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ddp_worker.__file__, str(folder)]
    subprocess.run(command, env=environment, timeout=120, check=True)
    files = {name: str(number) for number, name in enumerate([*asked, "inside"])}
    files |= {name: name for name in ("accumulated", "validated")}
    return {
        (name, rank): torch.load(folder / f"{file}-{rank}.pt")
        for name, file in files.items()
        for rank in range(2)
    }


@each_case
def test_gradients_are_those_of_one_worker_with_the_whole_batch(two_workers, case):
    whole, *_ = of_one_worker(case)
    largest = max(gradient.abs().max() for gradient in whole.values())
    for rank in range(2):
        shared, *_ = two_workers[case, rank]
        assert shared.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(
                shared[name], gradient, rtol=1e-4, atol=1e-6 * largest.item(), msg=name
            )


@each_case
def test_terms_on_embeddings_are_of_the_global_batch(two_workers, case):
    _, whole, *_ = of_one_worker(case)
    shares = [two_workers[case, rank][1] for rank in range(2)]
    for name in whole.keys() - {"loss", "cross_entropy"}:
        for share in shares:
            torch.testing.assert_close(share[name], whole[name], rtol=1e-5, atol=1e-6)
    mean = (shares[0]["cross_entropy"] + shares[1]["cross_entropy"]) / 2
    torch.testing.assert_close(mean, whole["cross_entropy"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shares", SHARES)
def test_the_triplets_of_these_batches_are_partly_active(two_workers, shares):
    _, terms, *_ = two_workers[(shares, "batch all"), 0]
    assert 0 < terms["active_triplets"] < 1


def test_a_loss_inside_the_wrapped_model_has_the_gradients_of_one_outside(two_workers):
    whole, *_ = of_one_worker(("uneven classes", "ArcFace"))
    for rank in range(2):
        shared = two_workers["inside", rank]
        assert shared.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(shared[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_over_steps_the_losss_parameters_and_weight_stay_equal_and_those_of_one_worker(
    two_workers,
):
    _, _, whole, figures = of_one_worker("steps")
    (_, _, left, left_figures), (_, _, right, right_figures) = (
        two_workers["steps", rank] for rank in range(2)
    )
    assert left_figures == right_figures
    assert left_figures["triplet_weight"] == pytest.approx(figures["triplet_weight"], rel=1e-4)
    assert torch.equal(left["metric.loss.W"], right["metric.loss.W"])
    torch.testing.assert_close(left["metric.loss.W"], whole["metric.loss.W"], rtol=1e-4, atol=1e-5)


def test_a_loss_that_draws_at_random_on_each_worker_keeps_its_parameters_equal(two_workers):
    (_, first, left, _), (_, second, right, _) = (two_workers["drawing", rank] for rank in range(2))
    assert first["metric"] != second["metric"]  # their triplets differ
    assert torch.equal(left["metric.loss.beta"], right["metric.loss.beta"])


def test_with_slerp_the_heads_gradient_is_the_mean_of_the_workers(two_workers):
    alone = [ddp_worker.gradients(**arguments()["slerp"], rank=rank)[0] for rank in range(2)]
    for rank in range(2):
        shared, *_ = two_workers["slerp", rank]
        for name, gradient in shared.items():
            mean = (alone[0][name] + alone[1][name]) / 2
            torch.testing.assert_close(gradient, mean, rtol=1e-4, atol=1e-7, msg=name)


def test_accumulated_gradients_are_the_mean_over_parts_of_both_workers(two_workers):
    shares, count = ACCUMULATED["shares"], ACCUMULATED["accumulate"]
    size = len(shares[0]) // count
    parts = [
        [index for share in shares for index in share[start : start + size]]
        for start in range(0, size * count, size)
    ]
    alone = [
        ddp_worker.gradients([part], rank=0, objective=ACCUMULATED["objective"])[0]
        for part in parts
    ]
    means = {name: sum(part[name] for part in alone) / count for name in alone[0]}
    largest = max(mean.abs().max() for mean in means.values()).item()
    for rank in range(2):
        shared, _ = two_workers["accumulated", rank]
        assert shared.keys() == means.keys()
        for name, mean in means.items():
            torch.testing.assert_close(shared[name], mean, rtol=1e-4, atol=1e-6 * largest, msg=name)


def test_accumulating_workers_exchange_gradients_once(two_workers):
    for rank in range(2):
        _, exchanges = two_workers["accumulated", rank]
        assert exchanges == 1  # the tiny network is one bucket


def test_a_worker_without_a_face_to_validate_gathers_what_the_others_have(two_workers):
    for rank in range(2):
        assert torch.equal(two_workers["validated", rank], torch.ones(2, 3))
