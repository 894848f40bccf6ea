"""One Ray session: sums are checked before anything hangs, errors come out as one line."""

import pytest

from dfray.config import ClusterSection
from dfray.errors import ManifestError, ResourceError
from dfray.session import first_line, require_cpus, root_error, session


@pytest.mark.ray
def test_a_plan_that_fits_passes_and_one_that_does_not_is_added_up(ray_session):
    require_cpus({"train workers": 2, "extraction": 1})
    with pytest.raises(ResourceError, match=r"needs 9 CPUs .*\(8 train workers \+ 1 extraction\)"):
        require_cpus({"train workers": 8, "extraction": 1})


@pytest.mark.ray
def test_what_needs_labels_counts_the_cpus_of_nodes_that_have_them(ray_session):
    plan = {"train workers": 2, "extraction": 1}
    require_cpus(plan, {"train workers": {"role": "!cpu"}})
    told = r"needs 2 CPUs at once \(2 train workers on nodes with role=gpu\); .* has 0 there"
    with pytest.raises(ResourceError, match=told):
        require_cpus(plan, {"train workers": {"role": "gpu"}})


@pytest.mark.ray
def test_an_error_of_ours_comes_back_from_a_task_as_it_was_raised(ray_session):
    import ray

    @ray.remote
    def refuse():
        raise ManifestError("Rows contradict.", "Mend them.")

    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        ray.get(refuse.remote())
    cause = root_error(caught.value)
    assert type(cause) is ManifestError
    assert str(cause) == "Rows contradict. Mend them."


def test_a_foreign_error_is_told_in_one_line():
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ValueError("the real reason.\nand pages more")
    assert first_line(root_error(wrapped)) == "ValueError: the real reason"


def test_a_dead_address_is_said_within_seconds():
    import ray

    if ray.is_initialized():
        ray.shutdown()
    dead = ClusterSection(address="127.0.0.1:1")
    with (
        pytest.raises(ResourceError, match=r"No Ray cluster answers at 127.0.0.1:1"),
        session(dead),
    ):
        pass
