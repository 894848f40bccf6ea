"""A training run on Ray Train: the best epoch is kept, and a run that was cut off goes on as if not."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from dfray.config import ModelSection
from dfray.errors import (
    ManifestError,
    ModelFileError,
    ResourceError,
    TrainingError,
)
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.progress import counting_actor
from dfray.run_folder import RunFolder
from dfray.training.launch import check_worker_config, train_detector, worker_config
from tests.helpers.processes import ray_processes, wait_for
from tests.helpers.toy import toy_recipe, write_toy_faces
from tests.training.one_process import train_alone

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]


def train(recipe, on_epoch=None):
    progress = counting_actor()
    return train_detector(recipe, None, stream=False, progress=progress, on_epoch=on_epoch)


@pytest.fixture(scope="module")
def killed(ray_session, tmp_path_factory):
    """A run of two workers, one of which is killed after the second epoch: (recipe, history)."""
    folder = tmp_path_factory.mktemp("killed")
    recipe = toy_recipe(folder, "killed", "training.epochs=8")
    write_toy_faces(recipe)

    def kill_one_worker(epoch):
        if epoch["epoch"] == 1 and not (folder / "victim").exists():
            (victim, *_) = ray_processes("ray::RayTrainWorker", of=driver)
            (folder / "victim").write_text(str(victim.pid))
            victim.kill()

    driver = os.getpid()
    history = train(recipe, on_epoch=kill_one_worker)
    assert (folder / "victim").exists()
    return recipe, history


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The history of the same training by one worker, without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = toy_recipe(folder, "undisturbed", "training.epochs=8")
    write_toy_faces(recipe)
    return train_alone(recipe, folder)


def require_same_curve(history, expected):
    for name in ("train_loss", "val_loss"):
        np.testing.assert_allclose(
            [e[name] for e in history], [e[name] for e in expected], atol=1e-4
        )


def test_it_learns_and_tells_every_epoch(killed):
    _, history = killed
    assert [epoch["epoch"] for epoch in history] == list(range(8))
    assert history[-1]["val_cross_entropy"] < 0.5 * history[0]["val_cross_entropy"]
    assert {"lr", "steps", "train_loss", "val_triplet", "selection_loss"} <= set(history[0])


def test_the_epoch_with_the_lowest_validation_loss_is_kept(killed):
    recipe, history = killed
    bundle = Bundle.load(RunFolder(recipe).model)
    bright = np.full((4, 32, 32, 3), 150, np.uint8)
    fake, _ = bundle.predict(np.concatenate([bright, np.full_like(bright, 90)]))
    assert fake[:4].min() > 0.5 > fake[4:].max()
    assert bundle.recipe["name"] == "killed"
    assert min(e["selection_loss"] for e in history) == min(e["val_loss"] for e in history)


def test_two_workers_one_of_them_killed_mid_run_train_as_one_left_alone(killed, undisturbed):
    _, history = killed
    assert {epoch["workers"] for epoch in history} == {2}
    require_same_curve(history, undisturbed)


@pytest.mark.slow
def test_a_run_killed_whole_and_started_again_ends_with_the_same_curve(
    ray_session, undisturbed, tmp_path
):
    """The driver and its Ray are SIGKILLed after an epoch; another driver goes on from there."""
    recipe = toy_recipe(tmp_path, "again", "training.epochs=8")
    write_toy_faces(recipe)
    slow_epochs = os.environ | {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "2"}
    command = [sys.executable, "-c", _TRAIN, str(tmp_path)]
    driver = subprocess.Popen(command, cwd=ROOT, env=slow_epochs, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / "again" / "train"
    wait_for(
        lambda: driver.poll() is not None or (checkpoints / "epoch-002").exists(), timeout_s=180
    )
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL, "it had ended before it could be killed"
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    require_same_curve(train(recipe), undisturbed)


_TRAIN = """
import sys
from dfray.progress import counting_actor
from dfray.session import session
from dfray.training.launch import check_worker_config, train_detector, worker_config
from tests.helpers.toy import toy_recipe

recipe = toy_recipe(sys.argv[1], "again", "training.epochs=8")
with session(recipe.cluster):
    train_detector(recipe, None, stream=False, progress=counting_actor())
"""


@pytest.mark.slow
def test_a_finished_run_started_again_trains_nothing_and_is_restored_whole(killed):
    recipe, history = killed
    recipe = toy_recipe(recipe.work_dir, "killed", "training.epochs=8", "training.num_workers=1")
    assert train(recipe) == history


def test_too_few_cpus_are_said_before_anything_starts(ray_session, tmp_path):
    recipe = toy_recipe(tmp_path, "big", "training.num_workers=16")
    with pytest.raises(ResourceError, match=r"needs 16 CPUs .*16 train workers.* has 8"):
        train(recipe)


def test_a_sample_smaller_than_a_batch_is_refused_before_workers_start(ray_session, tmp_path):
    recipe = toy_recipe(tmp_path, "few", "batches.batch_size=512", "training.num_workers=1")
    write_toy_faces(recipe)
    with pytest.raises(ManifestError, match=r"less than a batch of 512"):
        train(recipe)


def test_weights_that_do_not_fit_are_refused_before_workers_start(ray_session, tmp_path):
    torch.save({"model": {"cls_token": torch.zeros(1, 1, 64)}}, tmp_path / "other.pth")
    recipe = toy_recipe(tmp_path, "other", f"model.weights={tmp_path}/other.pth")
    write_toy_faces(recipe)
    with pytest.raises(ModelFileError, match=r"other\.pth does not fit the backbone: it lacks"):
        train(recipe)
    assert not ray_processes("ray::RayTrainWorker")


def test_a_relative_path_of_weights_reaches_the_workers(tmp_path, monkeypatch):
    """Their current directory is another than the driver's."""
    for name in ("driver", "worker"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "driver")
    torch.manual_seed(4)
    start = build_detector(ModelSection(backbone="test_vit", size_px=32), 2).backbone.state_dict()
    torch.save(start, "start.pth")
    words = ("model.weights=start.pth", "model.tuning=head", "model.pool=avg")
    recipe = toy_recipe(tmp_path, "relative", *words)
    write_toy_faces(recipe)
    config = worker_config(recipe, RunFolder(recipe))
    monkeypatch.chdir(tmp_path / "worker")
    start_line, *_, tuning_line = check_worker_config(config)
    assert "start.pth; ignored: head.* (2); fresh: head.* (2)" in start_line
    assert "0 of" in tuning_line
    begun = build_detector(config.recipe.model, 2).backbone.state_dict()
    changed = {name for name, value in start.items() if not torch.equal(begun[name], value)}
    assert changed == {"head.weight"}  # its bias begins at zero


def test_what_a_worker_raises_comes_back_as_one_line(ray_session, tmp_path):
    changes = ["training.lr=1e30", "training.max_failures=0", "training.num_workers=1"]
    recipe = toy_recipe(tmp_path, "nan", *changes)
    write_toy_faces(recipe)
    with pytest.raises(
        TrainingError, match=r"epoch 1 of \d+, step \d+: The loss is not finite"
    ) as caught:
        train(recipe)
    assert "\n" not in str(caught.value)
    (kept,) = Path(RunFolder(recipe).not_finite).iterdir()
    assert f"Its batch is saved in {kept}" in str(caught.value)
    with np.load(kept) as batch:
        assert batch["images"].shape == (16, 32, 32, 3)
        assert f"step {batch['step'] + 1}: The loss is" in str(caught.value)
