"""Concurrent trials: never more than the cluster holds, all needs of a trial counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.config import Recipe
from dfray.errors import ResourceError
from dfray.search.concurrency import trial_capacity
from tests.helpers.toy import toy_recipe


def searching(folder: Path, *overrides: str) -> Recipe:
    return toy_recipe(folder, "toy", "search.trials=100", *overrides)


def test_one_worker_trains_in_the_trial_itself(tmp_path: Path) -> None:
    capacity = trial_capacity(searching(tmp_path), [{"CPU": 8.0}])
    assert capacity.concurrent == 8
    assert capacity.trial_resources == {"CPU": 1, "GPU": 0}
    assert capacity.arithmetic == (
        "8 at once: a trial needs 1 train worker x 1 CPU + 0 data workers: the faces are "
        "written; the cluster has 8 CPUs: room for 8"
    )


def test_a_trials_driver_is_counted_so_that_its_workers_find_room(tmp_path: Path) -> None:
    """Four drivers of a hundredth of a CPU would leave 7.96 CPUs for eight workers: a deadlock."""
    capacity = trial_capacity(searching(tmp_path, "search.trial_workers=2"), [{"CPU": 8.0}])
    assert capacity.concurrent == 3
    assert capacity.trial_resources == {"CPU": 0.01}
    assert 3 * (2 + 0.01) <= 8
    assert "0.01 CPU for its driver" in capacity.arithmetic


def test_where_nodes_are_chosen_by_label_ray_train_places_the_worker(tmp_path: Path) -> None:
    capacity = trial_capacity(searching(tmp_path, "cluster.train_on={role: gpu}"), [{"CPU": 4.0}])
    assert (capacity.in_process, capacity.concurrent) == (False, 3)
    with pytest.raises(ResourceError, match="the cluster has no such node"):
        trial_capacity(searching(tmp_path), [])


def test_a_worker_lies_on_one_node_whole(tmp_path: Path) -> None:
    wide = searching(tmp_path, "training.cpus_per_worker=3")
    assert trial_capacity(wide, [{"CPU": 4.0}, {"CPU": 5.0}]).concurrent == 2


def test_gpus_are_counted_where_trials_train_on_them(tmp_path: Path) -> None:
    nodes = [{"CPU": 16.0}, {"CPU": 16.0, "GPU": 2.0}]
    capacity = trial_capacity(searching(tmp_path), nodes)
    assert (capacity.concurrent, capacity.trial_resources) == (2, {"CPU": 1, "GPU": 1})
    assert "1 CPU and 1 GPU" in capacity.arithmetic
    assert trial_capacity(searching(tmp_path, "training.use_gpu=false"), nodes).concurrent == 32


def test_no_more_run_than_there_are_or_than_the_recipe_allows(tmp_path: Path) -> None:
    assert (
        trial_capacity(searching(tmp_path, "search.max_concurrent=2"), [{"CPU": 8}]).concurrent == 2
    )
    assert (
        trial_capacity(toy_recipe(tmp_path, "toy", "search.trials=3"), [{"CPU": 8}]).concurrent == 3
    )


def test_a_cluster_that_holds_no_trial_is_refused_with_the_sum(tmp_path: Path) -> None:
    recipe = searching(tmp_path, "search.trial_workers=2", "training.cpus_per_worker=4")
    with pytest.raises(ResourceError, match=r"2 train workers x 4 CPUs.*the cluster has 6 CPUs"):
        trial_capacity(recipe, [{"CPU": 6.0}])
    with pytest.raises(ResourceError, match="Not even one trial fits"):
        trial_capacity(searching(tmp_path, "training.use_gpu=true"), [{"CPU": 6.0}])
