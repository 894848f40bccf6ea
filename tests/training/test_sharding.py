"""Two processes train as one does, sharded or not, with less memory or not, and resume exactly.

Each run is a worker of a real recipe over gloo on loopback: batches of faces, triplets of the global batch,
clipped gradients, a moving average, a validation with unequal shares, and a checkpoint an epoch.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dfray.config import TrainingSection
from dfray.errors import RecipeError
from dfray.models.bundle import Bundle
from dfray.run_folder import RunFolder
from dfray.training.launch import check_worker_config, worker_config, write_best_model
from dfray.training.worker import Worker
from tests.helpers.toy import toy_recipe, toy_words, write_toy_faces
from tests.training import two_processes
from tests.training.one_process import OneProcess

COMMON = (
    "training.epochs=2",
    "training.clip_norm=0.5",
    "training.ema=0.9",
    "training.precision=float32",
    "training.layer_decay=0.75",
    "model.drop_path=0",
)
RUNS = {
    "ddp": ("training.parallelism=ddp",),
    "fsdp": ("training.parallelism=fsdp",),
    "fsdp, blocks computed twice": (
        "training.parallelism=fsdp",
        "training.activation_checkpointing=true",
    ),
    "ddp, blocks computed twice": ("training.activation_checkpointing=true",),
    "fsdp, lora": (
        "training.parallelism=fsdp",
        "model.tuning=lora",
        "training.accumulate=2",
        "objective.triplet.weight=0",  # else an accumulated part is of other faces
    ),
    "fsdp, svd": (
        "training.parallelism=fsdp",
        "model.tuning=svd",
    ),
    "fsdp, loss with parameters": (
        "training.parallelism=fsdp",
        "objective.metric={name: ArcFaceLoss, options: {scale: 8.0}}",
    ),
}
RESUMED = ("fsdp", "fsdp, lora", "fsdp, blocks computed twice")
each = pytest.mark.parametrize("name", RUNS)


def words_of(folder: Path, name: str) -> list[str]:
    return [*toy_words(folder, "toy"), *COMMON, *RUNS[name]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy faces, and what two processes made of them: NAME/history-RANK.pt, NAME/EPOCH/state.pt."""
    folder = tmp_path_factory.mktemp("two")
    write_toy_faces(toy_recipe(folder, "toy"), videos=23)
    asked = [(name, words_of(folder, name), name in RESUMED) for name in RUNS]
    torch.save(asked, folder / "runs.pt")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, two_processes.__file__, str(folder)]
    done = subprocess.run(command, env=environment, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, "\n".join(done.stderr.splitlines()[-8:])
    return folder


def alone(folder: Path, name: str):
    """History and state of one process with the whole batch."""
    recipe = toy_recipe(folder, "toy", *COMMON, *RUNS[name])
    context = OneProcess(folder / f"{name} alone")
    context.folder.mkdir()
    history = Worker(worker_config(recipe, RunFolder(recipe)), context).run()
    return history, torch.load(context.folder / "state.pt", weights_only=True)


@each
def test_two_processes_train_as_one_with_the_whole_batch(folder, name):
    expected, state = alone(folder, name)
    for rank in range(2):
        history = torch.load(folder / name / f"history-{rank}.pt")
        for epoch, one in zip(history, expected, strict=False):
            for key in one.keys() - {"seconds", "workers", "ended_at_s"}:
                assert epoch[key] == pytest.approx(one[key], rel=1e-4, abs=1e-5), (rank, key)
    saved = torch.load(folder / name / "1" / "state.pt", weights_only=True)
    for network in ("detector", "average"):
        assert saved[network].keys() == state[network].keys()
        for key, value in state[network].items():
            torch.testing.assert_close(saved[network][key], value, rtol=0, atol=1e-5, msg=key)


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_goes_on_to_the_bit(folder, name):
    history = torch.load(folder / name / "history-0.pt")
    first, resumed = history[1], history[2]
    for key in first.keys() - {"seconds", "ended_at_s"}:
        assert first[key] == resumed[key], key


def test_a_sharded_training_is_saved_whole_and_makes_a_model_in_one_process(folder):
    recipe = toy_recipe(folder, "toy", *COMMON, *RUNS["fsdp, lora"])
    config = worker_config(recipe, RunFolder(recipe))
    from ray.train import Checkpoint

    kept = Checkpoint.from_directory(str(folder / "fsdp, lora" / "1"))
    write_best_model([(kept, {"selection_loss": 0.0})], config)
    assert Bundle.load(config.folder.model).recipe["training"]["parallelism"] == "fsdp"


@pytest.mark.parametrize("key", ["parallelism=fsdp", "activation_checkpointing=true"])
def test_batchnorm_that_is_trained_is_refused_by_name(key, tmp_path):
    words = ("model.backbone=test_efficientnet", f"training.{key}")
    recipe = toy_recipe(tmp_path, "toy", *words)
    write_toy_faces(recipe)
    config = worker_config(recipe, RunFolder(recipe))
    with pytest.raises(RecipeError, match=r"BatchNorm of test_efficientnet.*training.accumulate"):
        check_worker_config(config)
    frozen = recipe.model_copy(update={"model": recipe.model.model_copy(update={"tuning": "head"})})
    check_worker_config(replace(config, recipe=frozen))  # its statistics stay


@pytest.mark.parametrize(
    "words",
    [
        ("objective.hypersphere.slerp=true",),
        ("model.tuning=svd", "objective.components.orthogonality=1"),
    ],
)
def test_weights_that_are_read_beside_the_network_are_not_sharded(words, tmp_path):
    with pytest.raises(RecipeError, match="reads weights beside the network.*use ddp"):
        toy_recipe(tmp_path, "toy", "training.parallelism=fsdp", *words)


def test_a_sharded_network_is_not_compiled():
    with pytest.raises(ValueError, match="compile goes with parallelism ddp"):
        TrainingSection(parallelism="fsdp", compile=True)


def test_a_trial_of_a_search_is_not_sharded(tmp_path):
    class Record:
        def keep(self, bundle, history):
            raise AssertionError

    recipe = toy_recipe(tmp_path, "toy", "training.parallelism=fsdp")
    with pytest.raises(
        RecipeError, match="a search keeps the whole one.*train the winner with fsdp"
    ):
        worker_config(recipe, RunFolder(recipe), record=Record())
