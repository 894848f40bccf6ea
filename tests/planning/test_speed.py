"""A worker's images per second: measured where it can be, given, or assumed aloud."""

from __future__ import annotations

import pytest
import torch

from dfray.batches.labels import BINARY
from dfray.config import CorpusSection, ModelSection, Recipe
from dfray.errors import ResourceError
from dfray.planning import speed
from dfray.planning.nodes import parse_nodes
from dfray.planning.speed import training_speed
from dfray.training.estimate import TRAIN_TO_FORWARD, NetworkCost

SMALL = ModelSection(backbone="test_vit", size_px=32)
CPUS, GPUS = parse_nodes("2x4cpu"), parse_nodes("2x4cpu,1x8cpu+2a100,1x8cpu+2h100")


def recipe(**sections: object) -> Recipe:
    corpora = [CorpusSection(reader="folder", root="clips")]
    return Recipe(
        name="t", corpora=corpora, **{"model": SMALL, "faces": {"size_px": 32}} | sections
    )


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize(
    "sections",
    [
        {"batches": {"batch_size": 8}},
        {
            "batches": {"batch_size": 12},
            "training": {"accumulate": 3, "num_workers": 2, "ema": 0.9},
        },
        {"augment": {"mixup": 0.8}},
        {
            "batches": {"batch_size": 8, "self_blend": {}},
            "faces": {"size_px": 32, "landmarks": True},
        },
    ],
)
def test_a_core_is_measured_with_the_recipes_own_step(
    sections: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "_BUDGET_S", 0.5)
    found = training_speed(recipe(**sections), BINARY, CPUS, None)
    assert 5 < found.images_per_s < 50_000
    assert "measured on one core" in found.source
    assert found.is_measured


@pytest.mark.usefixtures("_no_gpu")
def test_a_worker_of_more_cpus_is_taken_to_be_as_much_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speed, "_measured", lambda *_: 10.0)
    found = training_speed(recipe(training={"cpus_per_worker": 3}), BINARY, CPUS, None)
    assert found.images_per_s == 30
    assert "times 3 CPUs" in found.source


@pytest.mark.usefixtures("_no_gpu")
def test_without_a_gpu_here_its_speed_is_assumed_aloud() -> None:
    found = training_speed(recipe(), BINARY, GPUS, None)
    flops = TRAIN_TO_FORWARD * NetworkCost.of(SMALL, 2).forward_flops
    assert found.images_per_s == pytest.approx(0.15 * 312e12 / flops)  # the slower kind's
    assert found.origin == "assumed"
    assert found.source.startswith("ASSUMED: 15% of the 312 Tflop/s of a A100")


@pytest.mark.usefixtures("_no_gpu")
def test_a_gpu_of_unknown_kind_asks_for_a_figure() -> None:
    nodes = parse_nodes("1x8cpu+2gpu")
    with pytest.raises(ResourceError, match="--images-per-s"):
        training_speed(recipe(), BINARY, nodes, None)
    assert training_speed(recipe(), BINARY, nodes, 700.0).images_per_s == 700


def test_a_recipe_that_wants_no_gpu_is_measured_on_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_measured", lambda *_: 10.0)
    found = training_speed(recipe(training={"use_gpu": False}), BINARY, GPUS, None)
    assert found.source.startswith("measured on one core")


def test_a_step_is_followed_from_two_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second beside the images and a tenth for each: 2, 4, 8, 16 and 32 are taken, 64 is not."""
    taken = []

    def repeat(step: object, batch: tuple, device: object) -> float:
        taken.append(len(batch[0]))
        return 1 + 0.1 * len(batch[0])

    monkeypatch.setattr(speed, "_repeat", repeat)
    monkeypatch.setattr(speed, "_BUDGET_S", 35.0)
    learner = training_speed(recipe(batches={"batch_size": 64}), BINARY, CPUS, None)
    assert taken == [2, 4, 8, 16, 32]
    assert learner.images_per_s == pytest.approx(64 / (1 + 6.4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_at_hand_is_measured_at_the_whole_share() -> None:
    found = training_speed(recipe(), BINARY, GPUS, None)
    assert found.source.startswith("measured on this")
    assert found.images_per_s > 100
