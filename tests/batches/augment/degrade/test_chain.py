"""Chains of degradations: shares, orders, seeds, and that only drawn images change."""

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import binomtest, chisquare

from dfray.batches.augment.degrade import chain, degrade
from dfray.config import DegradeSection
from dfray.post_processing import POST_PROCESSINGS, post_process

NAMES = tuple(chain.OPERATIONS)


def only(*names, order="fixed", **options):
    """These operations, with `options` each; the others off."""
    sections = {name: options if name in names else None for name in NAMES}
    return DegradeSection(order=order, **sections)


@pytest.fixture
def traced(monkeypatch):
    """What is called on numbered images, which stay as they are: [(name, numbers)]."""
    calls = []

    def traced_as(name):
        def apply(images, strengths):
            assert len(strengths) == len(images)
            calls.append((name, images[:, 0, 0, 0].tolist()))
            return images

        return apply

    operations = {name: (draw, traced_as(name)) for name, (draw, _) in chain.OPERATIONS.items()}
    monkeypatch.setattr(chain, "OPERATIONS", operations)
    return calls


def numbered(count):
    return torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)


@pytest.mark.parametrize("kind", POST_PROCESSINGS)
def test_every_kind_of_post_processing_has_a_degradation_of_the_same_unit(kind, crops):
    name = {"h264": "h264_like"}.get(kind, kind)
    faces, videos = crops.permute(0, 2, 3, 1).numpy(), [str(n) for n in range(len(crops))]
    for strength in POST_PROCESSINGS[kind].strengths:
        theirs = post_process(kind, strength, faces, videos).astype(float)
        ours = chain.OPERATIONS[name][1](crops, torch.full((len(crops), 1), strength))
        lost = (ours.permute(0, 2, 3, 1).numpy().astype(float) - faces) ** 2
        assert 0.75 < lost.mean() / ((theirs - faces) ** 2).mean() < 1.25


def test_the_sections_keys_are_the_operations_in_the_fixed_order():
    assert tuple(DegradeSection.model_fields) == ("order", *NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_as_many_images_change_as_the_probability_says(name, traced):
    for _ in range(40):
        degrade(numbered(100), only(name, probability=0.3))
    changed = sum(len(images) for _, images in traced)
    assert binomtest(changed, 4000, 0.3).pvalue > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_only_drawn_images_change_and_the_input_stays(name, crops):
    before = crops.clone()
    changed = degrade(crops, only(name, probability=0.5))
    touched = (changed != crops).flatten(1).any(1)
    assert 0 < touched.sum() < len(crops)
    assert torch.equal(crops, before)
    assert torch.equal(degrade(crops, only(name, probability=0)), crops)


def test_operations_are_drawn_independently_of_each_other(traced):
    had = np.zeros((len(NAMES), 4000))
    for batch in range(40):
        traced.clear()
        degrade(numbered(100), only(*NAMES, probability=0.5))
        for name, images in traced:
            had[NAMES.index(name), 100 * batch + np.array(images)] = 1
    for one, other in itertools.combinations(had, 2):
        counts = np.histogram2d(one, other, bins=2)[0].ravel()
        assert chisquare(counts).pvalue > 1e-4


def test_the_fixed_order_calls_each_operation_once(traced):
    degrade(numbered(64), only(*NAMES, probability=0.5))
    assert [name for name, _ in traced] == list(NAMES)


def test_shuffled_orders_are_uniform_for_an_image_and_few_in_a_batch(traced):
    three, seen = ("blur", "noise", "jpeg"), []
    section = only(*three, order="shuffled", probability=1)
    for _ in range(600):
        traced.clear()
        degrade(numbered(8), section)
        orders = [tuple(name for name, images in traced if n in images) for n in range(8)]
        assert len(traced) <= chain.ORDERS * len(three)
        assert len(set(orders)) <= chain.ORDERS
        seen.append(orders[0])
    counts = [seen.count(order) for order in itertools.permutations(three)]
    assert sum(counts) == 600, "each operation once"
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("order", ["fixed", "shuffled"])
def test_a_seed_fixes_every_draw(order, crops):
    section = DegradeSection(order=order)
    torch.manual_seed(7)
    first, second = degrade(crops, section), degrade(crops, section)
    torch.manual_seed(7)
    assert torch.equal(degrade(crops, section), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("jpeg", {"quality": [90, 20]}, r"quality \[90, 20\]: the first is the larger"),
        ("jpeg", {"passes": [0, 2]}, "greater than or equal to 1"),
        ("resize", {"scale": [0, 0.5]}, "greater than 0"),
        ("h264_like", {"crf": [18, 60]}, "less than or equal to 51"),
        ("screen", {"tilt": 0.5}, "less than or equal to 0.25"),
        ("blur", {"sigma": 3}, "tuple"),
    ],
)
def test_a_wrong_range_is_refused(name, options, told):
    with pytest.raises(ValidationError, match=told):
        only(name, **options)
