"""Hours by what the runs recorded, and their price by the nodes'."""

from __future__ import annotations

import pytest

from dfray.planning.nodes import parse_nodes
from dfray.reproduction.spent import Spent, training_of

EPOCH = {"seconds": 1800.0, "workers": 2.0, "gpus": 2.0}


def test_training_takes_its_epochs_times_their_workers_and_gpus() -> None:
    spent = training_of([EPOCH, EPOCH | {"workers": 1.0, "gpus": 1.0}])
    assert spent == Spent(train_s=3600, worker_s=5400, gpu_s=5400)


def test_gpus_of_epochs_that_did_not_record_them_are_unknown_and_so_is_their_sum() -> None:
    old = {name: value for name, value in EPOCH.items() if name != "gpus"}
    assert training_of([EPOCH, old]).gpu_s is None
    assert (training_of([old]) + training_of([EPOCH])).gpu_s is None


def test_the_price_is_that_of_nodes_that_cost_only_while_they_work() -> None:
    spent = Spent(train_s=7200, worker_s=7200, gpu_s=7200, extract_cpu_s=3600 * 32)
    assert spent.price(parse_nodes("2x8cpu@1,1x8cpu+1h100@10")) == pytest.approx(2 * 10 + 2 * 2)


def test_nodes_that_do_both_are_priced_for_each() -> None:
    assert Spent(3600, 3600, 0.0, 3600 * 4).price(parse_nodes("1x4cpu@3")) == pytest.approx(6)


@pytest.mark.parametrize("nodes", [None, "1x4cpu", "1x4cpu@1,1x4cpu+1h100"])
def test_without_a_price_there_is_none(nodes: str | None) -> None:
    assert Spent(train_s=10).price(nodes and parse_nodes(nodes)) is None  # type: ignore[arg-type]
