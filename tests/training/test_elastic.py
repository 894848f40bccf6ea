"""How many workers a run can have at the moment, on the local Ray's one node of eight CPUs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import ray
from ray.actor import ActorHandle
from ray.train import ScalingConfig
from ray.util import placement_group, remove_placement_group

from dfray.training.elastic import FreeCPUs, LivingNodes, remove_orphaned_groups
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def _idle(ray_session: None) -> None:
    """Wait until all that tests before have left has ended, as it would count."""
    gc.collect()  # the actors of a run keep their CPUs until Python lets go of them
    remove_orphaned_groups()
    wait_for(lambda: free() == 8 and not standing())


def decided(
    cpus: int, extract_on: dict[str, str] | None = None, by: type = LivingNodes, **options
) -> int | None:
    """The size that a run of one to four workers of so many CPUs would be started with; none: it waits."""
    scaling = ScalingConfig(num_workers=(1, 4), resources_per_worker={"CPU": cpus}, **options)
    status: dict[str, object] = {}
    progress = SimpleNamespace(note=SimpleNamespace(remote=status.update))
    policy = by(scaling, progress, extract_on)
    policy._maybe_send_resource_request = lambda: None  # that of Ray's autoscaler
    decision = policy.make_decision_for_non_running_worker_group()
    size = getattr(decision, "num_workers", None)
    assert (size is None) == ("waiting" in status)
    return size


def test_as_many_as_fit_and_no_more_than_asked_for():
    assert decided(3) == 2
    assert decided(1) == 4


def test_nodes_without_the_labels_do_not_count():
    assert decided(3, label_selector={"role": "gpu"}) is None
    assert decided(3, label_selector={"role": "!gpu"}) == 2


def test_an_extraction_on_the_same_nodes_keeps_a_cpu():
    assert decided(4) == 2
    assert decided(4, {}) == 1


@contextmanager
def taken(cpus: int) -> Iterator[None]:
    """So many CPUs more are another run's."""
    before = free()
    group = placement_group([{"CPU": cpus}])
    wait_for(lambda: free() == before - cpus)
    yield
    remove_placement_group(group)
    wait_for(lambda: free() >= before)


def free() -> float:
    return ray.available_resources().get("CPU", 0)


def test_a_run_of_its_own_counts_what_another_has_taken_and_a_trial_does_not():
    with taken(6):
        assert decided(2) == 4
        assert decided(2, by=FreeCPUs) == 1
    with taken(7):
        assert decided(2, by=FreeCPUs) is None
    assert decided(2, by=FreeCPUs) == 4


def start_controller() -> ActorHandle:
    """Start an actor that makes a placement group, as Ray Train's controllers do.

    It is a local class, so that its process does not import this module and torch.
    """

    class Controller:
        def make(self, cpus):
            self.group = placement_group([{"CPU": 1}] * cpus)

        def call(self, function, *arguments, **options):
            return function(*arguments, **options)

    return ray.remote(num_cpus=0)(Controller).remote()


@pytest.mark.parametrize("cpus", [3, 9], ids=["had", "in line"])
def test_what_a_dead_controller_had_or_was_in_line_for_is_free_again(cpus):
    with taken(5):
        controller = start_controller()
        ray.get(controller.make.remote(cpus))
        wait_for(lambda: free() == (0 if cpus == 3 else 3))
        ray.kill(controller)
        wait_for(lambda: decided(3, by=FreeCPUs) == 1)
    assert not standing()


def test_a_trial_counts_what_its_own_workers_have_as_they_are_started_again():
    with taken(5):
        controller = start_controller()
        ray.get(controller.make.remote(2))
        wait_for(lambda: free() == 1)
        assert decided(1, by=FreeCPUs) == 1
        assert ray.get(controller.call.remote(decided, 1, by=FreeCPUs)) == 3
        ray.kill(controller)
        wait_for(lambda: decided(1, by=FreeCPUs) == 3)


def test_what_living_controllers_and_drivers_have_stays():
    with taken(5):
        controller = start_controller()
        ray.get(controller.make.remote(3))
        remove_orphaned_groups()
        assert len(standing()) == 2
        ray.kill(controller)
        wait_for(lambda: remove_orphaned_groups() or len(standing()) == 1)


def standing() -> list[str]:
    """Names of the placement groups there are."""
    groups = ray.util.placement_group_table()
    return [name for name, group in groups.items() if group["state"] != "REMOVED"]
