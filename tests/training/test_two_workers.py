"""Two real workers with half a batch each take the step of one worker with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training import ddp_worker

CASES = {
    "balanced": [[0, 1, 2, 3, 4, 6], [5, 7, 8, 9, 10, 11]],
    "uneven classes": [[0, 1, 4, 5, 8, 2], [3, 6, 7, 9, 10, 11]],
    "one class each": [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]],
}


def whole_batch(case):
    return [[index for share in CASES[case] for index in share]]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """Folder in which two processes over gloo on loopback left gradients and terms of each case."""
    folder = tmp_path_factory.mktemp("workers")
    torch.save(CASES, folder / "cases.pt")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    script = str(Path(ddp_worker.__file__))
    workers = [
        subprocess.Popen([sys.executable, script, str(rank), str(folder)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    return folder


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_one_worker_with_the_whole_batch(two_workers, case):
    whole, terms = ddp_worker.gradients(whole_batch(case), rank=0)
    largest = max(gradient.abs().max() for gradient in whole.values())
    assert 0 < terms["active_triplets"] < 1
    for rank in range(2):
        shared, _ = torch.load(two_workers / f"{case}{rank}.pt")
        assert shared.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(
                shared[name], gradient, rtol=1e-4, atol=1e-6 * largest.item(), msg=name
            )


@pytest.mark.parametrize("case", CASES)
def test_triplets_are_mined_over_the_global_batch(two_workers, case):
    _, whole = ddp_worker.gradients(whole_batch(case), rank=0)
    shares = [torch.load(two_workers / f"{case}{rank}.pt")[1] for rank in range(2)]
    for name in ("triplet", "active_triplets"):
        for share in shares:
            torch.testing.assert_close(share[name], whole[name], rtol=1e-5, atol=1e-6)
    mean = (shares[0]["cross_entropy"] + shares[1]["cross_entropy"]) / 2
    torch.testing.assert_close(mean, whole["cross_entropy"], rtol=1e-5, atol=1e-6)
