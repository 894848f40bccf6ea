"""How many workers a run can have at the moment, on the local Ray's one node of eight CPUs."""

import pytest
import ray
from ray.train import ScalingConfig

from dfray.progress import counting_actor
from dfray.training.elastic import LivingNodes

pytestmark = pytest.mark.ray


def decided(cpus: int, extract_on: dict[str, str] | None = None, **options) -> int | None:
    """The size that a run of one to four workers of so many CPUs would be started with; none: it waits."""
    scaling = ScalingConfig(num_workers=(1, 4), resources_per_worker={"CPU": cpus}, **options)
    progress = counting_actor()
    policy = LivingNodes(scaling, progress, extract_on)
    policy._maybe_send_resource_request = lambda: None  # that of Ray's autoscaler
    decision = policy.make_decision_for_non_running_worker_group()
    size = getattr(decision, "num_workers", None)
    assert (size is None) == ("waiting" in ray.get(progress.get.remote()))
    return size


def test_as_many_as_fit_and_no_more_than_asked_for(ray_session):
    assert decided(3) == 2
    assert decided(1) == 4


def test_nodes_without_the_labels_do_not_count(ray_session):
    assert decided(3, label_selector={"role": "gpu"}) is None
    assert decided(3, label_selector={"role": "!gpu"}) == 2


def test_an_extraction_on_the_same_nodes_keeps_a_cpu(ray_session):
    assert decided(4) == 2
    assert decided(4, {}) == 1
