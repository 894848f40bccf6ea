"""One Ray session: sums are checked before anything hangs, errors come out as one line."""

import os
import subprocess
import sys

import pytest

from dfray import stages
from dfray.config import ClusterSection
from dfray.errors import CheckError, ClusterError, ManifestError, ResourceError, root_error
from dfray.recipe import load_recipe
from dfray.resources import Need
from dfray.run_context import RunContext
from dfray.session import require_resources, session


@pytest.mark.ray
def test_a_plan_that_does_not_fit_on_the_cluster_is_refused_with_its_sum(ray_session):
    workers = Need("train workers", 8)
    require_resources([workers])
    error = r"needs 9 CPUs .*\(8 train workers \+ 1 extraction\).* Ray would wait for ever"
    with pytest.raises(ResourceError, match=error):
        require_resources([workers, Need("extraction", 1)])


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


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ray is connected, as the session of other tests may be."""
    monkeypatch.setattr("dfray.session._is_connected", lambda: False)


def test_a_dead_address_is_said_within_seconds(no_session):
    dead = ClusterSection(address="127.0.0.1:1")
    with (
        pytest.raises(ClusterError, match=r"No Ray cluster answers at 127.0.0.1:1"),
        session(dead),
    ):
        pass


def test_a_local_ray_that_does_not_start_in_time_is_one_error(no_session, monkeypatch):
    """The stand-in is Ray's start, which takes half a minute to give up on a busy machine."""
    import ray

    def give_up(**_):
        raise Exception("The current node timed out during startup.")  # noqa: TRY002 - as Ray

    monkeypatch.setattr(ray, "init", give_up)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with (
        pytest.raises(ClusterError, match=r"Ray does not start on this machine: .* timed out"),
        session(ClusterSection(num_cpus=1)),
    ):
        pass


@pytest.mark.parametrize(
    "stage", [stages.extract, stages.train, stages.search, stages.run_pipeline]
)
def test_a_stage_says_so_before_it_does_anything_else(stage, no_session, tmp_path):
    recipe = load_recipe("demo", [f"work_dir={tmp_path}", "cluster.address=127.0.0.1:1"])
    with pytest.raises(CheckError, match=r"No Ray cluster answers at 127.0.0.1:1"):
        stage(RunContext.of(recipe))
    assert list(tmp_path.iterdir()) == []


IN_A_NOTEBOOK = """
import ray  # first: it reads the environment when it is imported
from dfray.config import ClusterSection
from dfray.run_context import RunContext
from dfray.session import session

with session(ClusterSection(num_cpus=1)):
    print(ray.get(ray.remote(lambda: "it runs").remote()))
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_local_cluster_has_a_token_of_its_own_whoever_has_imported_ray_before(tmp_path):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK],
        env=plain | {"HOME": str(tmp_path), "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "it runs\n", done.stderr
    assert not (tmp_path / ".ray" / "auth_token").exists()
