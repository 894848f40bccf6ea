"""What a run needs is counted before it starts, without a weight."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dfray.config import BatchesSection, CorpusSection, ModelSection, Recipe, TrainingSection
from dfray.models.backbone import build_detector
from dfray.training import estimate
from dfray.training.estimate import NetworkCost, estimate_training, matmul_flops_per_s
from dfray.training.memory import MemoryNeed, advice, memory_needs

SMALL = ModelSection(backbone="resnet10t", size_px=64)


def recipe(**sections: object) -> Recipe:
    corpora = [CorpusSection(reader="folder", root="clips")]
    return Recipe(name="t", corpora=corpora, model=SMALL, **sections)


def test_parameters_and_embedding_are_those_of_the_network() -> None:
    cost = NetworkCost.of(SMALL, 2)
    detector = build_detector(SMALL, 2)
    assert cost.counts.all == sum(p.numel() for p in detector.parameters())
    assert cost.embedding_dim == detector.embedding_dim


def test_nothing_is_fetched_to_count_a_network() -> None:
    start = {"weights": "hf://Wolowolo/fsfm-3c", "weights_layout": "fsfm"}
    section = ModelSection.model_validate(SMALL.model_dump() | start)
    assert replace(NetworkCost.of(section, 2), changes=None) == NetworkCost.of(SMALL, 2)


def test_a_vit_b_takes_the_operations_known_of_it() -> None:
    """17.6 G multiply-adds at 224 px (arXiv 2010.11929 and timm's own tables)."""
    cost = NetworkCost.of(ModelSection(), 2)
    assert cost.forward_flops == pytest.approx(2 * 17.6e9, rel=0.02)
    assert cost.counts.all == pytest.approx(85.8e6, rel=0.01)


def test_what_is_kept_grows_with_the_pixels() -> None:
    double = NetworkCost.of(SMALL.model_copy(update={"size_px": 128}), 2)
    assert double.saved_bytes == pytest.approx(4 * NetworkCost.of(SMALL, 2).saved_bytes, rel=0.05)


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet"])
def test_weights_are_not_counted_among_what_an_image_keeps(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an image of a larger probe would bear a smaller share of them."""
    section = ModelSection(backbone=backbone, size_px=32)
    of_few = NetworkCost.of(section, 2).saved_bytes
    monkeypatch.setattr(estimate, "_PROBE_BATCH", 2 * estimate._PROBE_BATCH)
    assert NetworkCost.of(section, 2).saved_bytes == pytest.approx(of_few, rel=0.02)


def test_steps_and_schedule_follow_from_the_sample() -> None:
    known = estimate_training(recipe(), 2, 6_450)
    assert known.steps_per_epoch == 100  # of 64 faces; the rest is left
    assert known.schedule is not None
    assert (known.schedule.warmup_steps, known.schedule.total_steps) == (500, 3000)
    assert known.seconds is not None
    assert known.seconds > 0


def test_an_unknown_sample_leaves_the_time_open() -> None:
    unknown = estimate_training(recipe(), 2, None)
    assert (unknown.schedule, unknown.seconds, unknown.steps_per_epoch) == (None, None, 0)
    assert unknown.state_bytes == 16 * unknown.cost.counts.all


def test_more_workers_each_hold_less_of_the_batch() -> None:
    one = estimate_training(recipe(), 2, 640)
    two = estimate_training(recipe(training={"num_workers": 2}), 2, 640)
    assert two.saved_bytes == one.saved_bytes / 2
    assert two.state_bytes == one.state_bytes


def test_accumulation_keeps_less_and_a_moving_average_more() -> None:
    plain = estimate_training(recipe(), 2, 640)
    both = estimate_training(recipe(training={"accumulate": 4, "ema": 0.999}), 2, 640)
    assert both.saved_bytes == plain.saved_bytes / 4
    assert both.state_bytes == plain.state_bytes + 4 * plain.cost.counts.all
    assert both.steps_per_epoch == plain.steps_per_epoch


def test_the_speed_of_a_matrix_product_is_measured() -> None:
    assert 1e8 < matmul_flops_per_s() < 1e16


def test_blocks_computed_again_keep_their_inputs_and_one_blocks_activations() -> None:
    section = ModelSection(backbone="test_vit", size_px=160)
    cost = NetworkCost.of(section, 2)
    tokens, width, blocks = 101, 64, 6
    inputs = 4 * blocks * tokens * width
    assert cost.recomputed_bytes is not None
    within = (cost.saved_bytes - cost.recomputed_bytes + inputs) / (blocks - 1)  # of a block
    outside = cost.saved_bytes - blocks * within
    assert 0 < outside < within
    assert inputs < cost.recomputed_bytes < cost.saved_bytes / 2
    assert NetworkCost.of(SMALL, 2).recomputed_bytes is None  # a ResNet has no blocks to count by


def test_the_estimate_is_of_the_way_that_the_recipe_trains() -> None:
    model = ModelSection(backbone="test_vit", size_px=160)
    section = {"num_workers": 4}
    plain, less = (
        estimate_training(
            recipe().model_copy(update={"model": model, "training": training}), 2, 640
        )
        for training in (
            TrainingSection(**section),
            TrainingSection(**section, parallelism="fsdp", activation_checkpointing=True),
        )
    )
    assert [str(need) for need in plain.needs] == [
        "neither",
        "training.parallelism=fsdp",
        "training.activation_checkpointing=true",
        "training.parallelism=fsdp training.activation_checkpointing=true",
    ]
    assert (plain.state_bytes, plain.saved_bytes) == (
        plain.needs[0].state_bytes,
        plain.needs[0].saved_bytes,
    )
    assert (less.state_bytes, less.saved_bytes) == (
        plain.needs[3].state_bytes,
        plain.needs[3].saved_bytes,
    )
    assert less.state_bytes == plain.state_bytes / 4 + 2 * plain.cost.block_bytes


def vit_l(num_workers: int, **model: object) -> tuple[MemoryNeed, ...]:
    """A ViT-L at batch 256."""
    changes = {
        "model": ModelSection(backbone="vit_large_patch16_224", **model),
        "batches": BatchesSection(batch_size=256),
        "training": TrainingSection(num_workers=num_workers),
    }
    made = recipe().model_copy(update=changes)
    return memory_needs(made, NetworkCost.of(made.model, 2))


@pytest.mark.parametrize(
    ("workers", "gib", "told"),
    [
        (1, 74.5, "neither is needed"),  # an H100
        (1, 44.7, "set training.activation_checkpointing=true"),  # an L40S
        (8, 8, "set training.parallelism=fsdp (of 8 GiB"),
        (8, 4, "set training.parallelism=fsdp training.activation_checkpointing=true"),
        (1, 4, "does not fit into 4 GiB in any way: raise training.accumulate"),
    ],
)
def test_a_vit_l_at_batch_256_is_told_what_it_needs_on_the_given_gpus(
    workers: int, gib: float, told: str
) -> None:
    line = advice(vit_l(workers), gib, bf16=True)
    print(line)
    assert line.startswith(told)


def test_a_frozen_vit_l_needs_less() -> None:
    full, frozen = vit_l(8)[0], vit_l(8, tuning="head")[0]
    assert frozen.state_bytes < full.state_bytes / 3.9
    assert frozen.saved_bytes < full.saved_bytes / 10
