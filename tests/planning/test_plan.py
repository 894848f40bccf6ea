"""Hours, money, memory and the bottleneck follow from the figures and the nodes."""

from __future__ import annotations

import math
from functools import cache

import pytest

from dfray.config import CorpusSection, ModelSection, Recipe, TrainingSection
from dfray.errors import ResourceError
from dfray.planning.extraction import DatasetTotal, ExtractionTotal, Interval
from dfray.planning.nodes import parse_nodes
from dfray.planning.plan import ClusterPlan, require_room
from dfray.planning.speed import Speed
from dfray.training.estimate import TrainingEstimate, estimate_training

GIB = 2**30
SMALL = ModelSection(backbone="test_vit", size_px=32)
TRAIN, VAL = 64_000, 6_000


def recipe(**sections: object) -> Recipe:
    corpora = [CorpusSection(reader="folder", root="clips")]
    return Recipe(name="t", corpora=corpora, model=SMALL, **sections)


@cache
def estimated(training: TrainingSection) -> TrainingEstimate:
    return estimate_training(recipe(training=training), 2, TRAIN)


def plan(
    nodes: str, *, cpu_s: float = 36_000.0, rate: float = 100.0, **sections: object
) -> ClusterPlan:
    """A thousand videos of 100 faces each, 64,000 of them for an epoch's training."""
    chosen = recipe(**{"training": {"epochs": 10}} | sections)
    faces = Interval(1e5, 0.9e5, 1.1e5)
    extraction = ExtractionTotal(
        datasets=(DatasetTotal("toy", 1000, 100_000, "toy", 20, 0.1, 1.0, 1e5),),
        cpu_s=Interval(cpu_s, 0.8 * cpu_s, 1.3 * cpu_s),
        faces=faces,
        stored_bytes=faces * 1e5,
        videos={"train": 800, "val": 100, "test": 100},
        per_epoch={"train": TRAIN, "val": VAL},
    )
    return ClusterPlan(
        recipe=chosen,
        nodes=parse_nodes(nodes),
        extraction=extraction,
        read_per_s=2000.0,
        measured_bytes=GIB,
        speed=Speed(rate, "given"),
        training=estimated(chosen.training),
    )


def test_extraction_takes_whole_shards_on_every_cpu_but_one() -> None:
    found = plan("8x16cpu,1x8cpu+1h100")
    assert found.extract_workers == 127
    shards = 4 * 127
    assert found.extract_s.value == pytest.approx(36_000 * math.ceil(shards / 127) / shards)
    assert found.extract_s.low == pytest.approx(0.8 * found.extract_s.value)


def test_more_actors_than_videos_find_no_more_work() -> None:
    assert plan("80x16cpu").extract_s.value == pytest.approx(36)


def test_twice_the_nodes_halve_the_extraction_and_twice_the_workers_the_training() -> None:
    one = plan("1x17cpu,1x8cpu+2h100")
    two = plan("2x17cpu,1x8cpu+2h100", training={"epochs": 10, "num_workers": 2})
    assert one.extract_s.value / two.extract_s.value == pytest.approx(33 / 16, rel=0.02)
    assert one.train_s == pytest.approx(10 * (TRAIN + VAL / 3) / 100)
    assert two.train_s == pytest.approx(one.train_s / 2)


def test_one_after_the_other_or_side_by_side_in_the_first_epoch() -> None:
    apart = plan("1x16cpu,1x8cpu+1h100")
    assert apart.total_s.value == pytest.approx(apart.extract_s.value + apart.train_s)
    beside = plan("1x16cpu,1x8cpu+1h100", batches={"stream_first_epoch": True})
    assert beside.total_s.value == pytest.approx(
        max(beside.extract_s.value, beside.epoch_s) + 9 * beside.epoch_s
    )


def test_a_stream_on_nodes_without_gpus_leaves_the_trainers_their_cpus() -> None:
    training = {"num_workers": 2, "cpus_per_worker": 3}
    streamed = plan("1x16cpu", training=training, batches={"stream_first_epoch": True})
    assert streamed.extract_workers == 16 - 1 - 6
    assert plan("1x16cpu", training=training).extract_workers == 15


def test_the_recipe_may_ask_for_fewer_actors() -> None:
    assert plan("2x16cpu", cluster={"extract_workers": 5}).extract_workers == 5


def test_the_slower_of_training_and_reading_sets_the_pace() -> None:
    assert plan("1x8cpu+1h100", rate=5000.0).images_per_s == 2000
    assert plan("1x8cpu+1h100", rate=500.0).images_per_s == 500


def test_cpus_that_feed_a_trainer_follow_from_what_an_epoch_takes() -> None:
    found = plan("1x16cpu,1x8cpu+1h100", rate=160.0)
    assert found.streamed_per_cpu_s == pytest.approx(TRAIN / 36_000)
    assert found.cpus_per_worker_fed == pytest.approx(90)


def test_storage_holds_faces_two_checkpoints_and_the_model() -> None:
    found = plan("1x16cpu")
    weights = 4 * found.training.cost.counts.all
    state = 12 * found.training.cost.counts.all_trained
    assert found.stored_bytes.value == pytest.approx(1e10 + 2 * state + weights)


def test_a_node_without_the_memory_for_a_worker_on_each_cpu_is_told() -> None:
    tight, roomy = plan("2x16cpu+16gib").too_small(), plan("2x16cpu+64gib").too_small()
    assert [group.memory_gib for group, _ in tight] == [16]
    assert tight[0][1] > 16 * GIB
    assert roomy == []
    assert plan("2x16cpu").too_small() == []  # not told


@pytest.mark.parametrize(
    ("nodes", "training", "told"),
    [
        ("2x16cpu,1x8cpu+4h100", {"num_workers": 8}, "8 GPU.*there are 4"),
        ("2x16cpu", {"use_gpu": True}, "1 GPU.*there are 0"),
        ("1x4cpu", {"num_workers": 2, "cpus_per_worker": 3}, "take 6 CPUs; there are 4"),
    ],
)
def test_nodes_too_few_for_the_workers_are_refused(nodes: str, training: dict, told: str) -> None:
    with pytest.raises(ResourceError, match=told):
        require_room(recipe(training=training), parse_nodes(nodes))


@pytest.mark.parametrize("nodes", ["1x8cpu+4h100", "1x4cpu"])
def test_nodes_that_just_hold_the_workers_are_enough(nodes: str) -> None:
    require_room(recipe(training={"num_workers": 4}), parse_nodes(nodes))
    with pytest.raises(ResourceError, match="there are 4"):
        require_room(recipe(training={"num_workers": 8}), parse_nodes(nodes))
