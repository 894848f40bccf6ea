"""A training run on Ray Train: the best epoch is kept, and a run that was cut off goes on as if not."""

import contextlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
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

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]


def train(recipe, progress=None):
    return train_detector(recipe, None, stream=False, progress=progress or counting_actor())


@pytest.fixture(scope="module")
def whole(ray_session, tmp_path_factory):
    """A run that was left alone: (recipe, history)."""
    recipe = toy_recipe(tmp_path_factory.mktemp("whole"), "whole", "training.epochs=8")
    write_toy_faces(recipe)
    return recipe, train(recipe)


def test_it_learns_and_tells_every_epoch(whole):
    _, history = whole
    assert [epoch["epoch"] for epoch in history] == list(range(8))
    assert history[-1]["val_cross_entropy"] < 0.5 * history[0]["val_cross_entropy"]
    assert {"lr", "steps", "train_loss", "val_triplet", "selection_loss"} <= set(history[0])


def test_the_epoch_with_the_lowest_validation_loss_is_kept(whole):
    recipe, history = whole
    bundle = Bundle.load(RunFolder(recipe).model)
    bright = np.full((4, 32, 32, 3), 150, np.uint8)
    fake, _ = bundle.predict(np.concatenate([bright, np.full_like(bright, 90)]))
    assert fake[:4].min() > 0.5 > fake[4:].max()
    assert bundle.recipe["name"] == "whole"
    assert min(e["selection_loss"] for e in history) == min(e["val_loss"] for e in history)


def test_a_worker_killed_mid_run_changes_nothing(whole, tmp_path):
    _, expected = whole
    recipe = toy_recipe(tmp_path, "killed", "training.epochs=8")
    write_toy_faces(recipe)
    progress = counting_actor()
    killed = []

    def kill_one_worker():

        wait_for(lambda: ray.get(progress.get.remote()).get("epoch", 0) >= 2)
        victim = ray_processes("ray::RayTrainWorker")[0]
        victim.kill()
        killed.append(victim.pid)

    killer = threading.Thread(target=kill_one_worker, daemon=True)
    killer.start()
    history = train(recipe, progress)
    killer.join(timeout=10)
    assert killed, "the run was over before a worker could be killed"
    np.testing.assert_allclose(
        [e["val_loss"] for e in history], [e["val_loss"] for e in expected], atol=1e-4
    )
    np.testing.assert_allclose(
        [e["train_loss"] for e in history], [e["train_loss"] for e in expected], atol=1e-4
    )


@pytest.mark.slow
def test_a_run_killed_whole_and_started_again_ends_with_the_same_curve(whole, tmp_path):
    """The driver and its Ray are SIGKILLed after an epoch; another driver goes on from there."""
    _, expected = whole
    recipe = toy_recipe(tmp_path, "again", "training.epochs=8")
    write_toy_faces(recipe)
    driver = subprocess.Popen(
        [sys.executable, "-c", _TRAIN, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
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
    history = train(recipe)
    for name in ("train_loss", "val_loss"):
        np.testing.assert_allclose(
            [e[name] for e in history], [e[name] for e in expected], atol=1e-4
        )


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


@pytest.fixture(scope="module")
def attributed(ray_session, tmp_path_factory):
    """A run on three classes, with a balanced weight and a loss that has parameters."""
    recipe = toy_recipe(
        tmp_path_factory.mktemp("attributed"),
        "attributed",
        "training.epochs=3",
        "training.num_workers=1",
        "batches.labels=category",
        "objective.triplet={weight: balance, balance_steps: 3, margin: 10.0}",
        "objective.metric={name: ArcFaceLoss, options: {scale: 8.0}, weight: 0.1}",
    )
    write_toy_faces(recipe)
    return recipe, train(recipe)


def test_attribution_keeps_its_classes_and_scores_their_fakes_together(attributed):
    recipe, history = attributed
    bundle = Bundle.load(RunFolder(recipe).model)
    assert bundle.class_names == ("real", "FS", "RE")
    assert bundle.detector.backbone.get_classifier().out_features == 3
    bright = np.full((4, 32, 32, 3), 150, np.uint8)
    fake, _ = bundle.predict(np.concatenate([bright, np.full_like(bright, 90)]))
    assert fake[:4].min() > fake[4:].max()
    assert history[-1]["val_metric"] < history[0]["val_metric"]


def test_a_balanced_weight_is_one_figure_of_every_epoch(attributed):
    _, history = attributed
    (weight,) = {epoch["triplet_weight"] for epoch in history}
    first = history[0]
    assert 0.2 < weight * first["train_triplet"] / first["train_cross_entropy"] < 5
    for epoch in history:
        parts = epoch["val_cross_entropy"] + weight * epoch["val_triplet"]
        assert epoch["val_loss"] == pytest.approx(parts + 0.1 * epoch["val_metric"], rel=1e-5)


def test_a_finished_run_started_again_trains_nothing_and_is_restored_whole(attributed):
    recipe, history = attributed
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
    recipe = toy_recipe(tmp_path, "relative", "model.weights=start.pth", "model.tuning=head")
    write_toy_faces(recipe)
    config = worker_config(recipe, RunFolder(recipe))
    monkeypatch.chdir(tmp_path / "worker")
    start_line, tuning_line = check_worker_config(config)
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
