"""Sums of CPUs and GPUs: what shares nodes must fit on them together, and each process on one node."""

import pytest

from dfray.resources import Need, Node, lacking

CPU_NODE = Node({"CPU": 8}, {"role": "cpu"})
GPU_NODE = Node({"CPU": 4, "GPU": 1}, {"role": "gpu"})


def test_needs_that_fit_lack_nothing():
    needs = [Need("train workers", 1, gpus=1, labels={"role": "gpu"}), Need("extraction", 1)]
    assert lacking(needs, [CPU_NODE, GPU_NODE]) is None


@pytest.mark.parametrize(
    ("needs", "sentence"),
    [
        (
            [Need("train workers", 12), Need("extraction", 1)],
            "The plan needs 13 CPUs at once (12 train workers + 1 extraction); the cluster has 12.",
        ),
        (
            [Need("train workers", 2, cpus=4, labels={"role": "gpu"}), Need("extraction", 1)],
            "The plan needs 8 CPUs at once (8 train workers on nodes with role=gpu); the cluster has "
            "4 there.",
        ),
        (
            [Need("train workers", 2, gpus=1)],
            "The plan needs 2 GPUs at once (2 train workers); the cluster has 1.",
        ),
        (
            [Need("train workers", 1, gpus=1, labels={"role": "!gpu"})],
            "The plan needs 1 GPU at once (1 train workers on nodes with role=!gpu); the cluster has "
            "0 there.",
        ),
        (
            [Need("train workers", 2, cpus=6)],
            "The plan needs 2 train workers of 6 CPU each, each on one node; the nodes have room for 1.",
        ),
    ],
    ids=["CPUs together", "CPUs of labels", "GPUs", "GPUs of labels", "on one node"],
)
def test_needs_that_do_not_fit_are_added_up(needs, sentence):
    assert lacking(needs, [CPU_NODE, GPU_NODE]) == sentence
