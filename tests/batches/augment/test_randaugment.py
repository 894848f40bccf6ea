"""RandAugment is timm's: each operation, and how operations and magnitudes are drawn."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare, norm
from timm.data import auto_augment as theirs

from dfray.batches.augment.randaugment import OPERATIONS, Draw, Policy, apply

FILL = (140, 108, 93)  # VGGFace2's mean
PAPER = "rand-m9-mstd0.5-inc1"
DIRECTED = ("Rotate", "Shear", "Translate", "Color", "Contrast", "Brightness", "Sharpness")


def draw_of(name, magnitude, sign, count):
    return Draw(
        torch.full((count,), OPERATIONS.index(name)),
        torch.full((count,), magnitude, dtype=torch.float64),
        torch.full((count,), float(sign), dtype=torch.float64),
    )


@pytest.fixture
def timm_operation(monkeypatch):
    """timm's own, at a fixed magnitude and sign."""

    def _of(name, magnitude, sign, interpolation):
        monkeypatch.setattr(theirs, "_randomly_negate", lambda value: sign * value)
        hparams = {"img_mean": FILL, "interpolation": Image.Resampling[interpolation.upper()]}
        return theirs.AugmentOp(name, prob=1.0, magnitude=magnitude, hparams=hparams)

    return _of


def test_the_operations_are_timms_increasing_set():
    assert set(OPERATIONS) == set(theirs._RAND_INCREASING_TRANSFORMS)
    assert len(OPERATIONS) == 15


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        (name, sign)
        for name in OPERATIONS
        for sign in (1, -1)
        if sign > 0 or name.startswith(DIRECTED)
    ],
)
def test_at_the_papers_magnitude_an_operation_is_timms_within_two_levels(
    name, sign, crops, pictures, timm_operation, difference
):
    ours = apply(crops, draw_of(name, 9.0, sign, len(crops)), torch.tensor(FILL), "bicubic")
    operation = timm_operation(name, 9.0, sign, "bicubic")
    off = difference(ours, [operation(picture) for picture in pictures])
    assert off.mean() < 0.5  # asked for: 2
    assert off.mean(axis=(1, 2, 3)).max() < 1


@pytest.mark.parametrize("magnitude", [0.0, 3.3, 7.6, 10.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_at_other_magnitudes_an_operation_is_timms_to_rounding(
    name, magnitude, crops, pictures, timm_operation, difference
):
    ours = apply(crops[:3], draw_of(name, magnitude, 1, 3), torch.tensor(FILL), "bilinear")
    operation = timm_operation(name, magnitude, 1, "bilinear")
    off = difference(ours, [operation(picture) for picture in pictures[:3]])
    assert off.max() <= 1
    assert off.mean() < 0.1


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_whatever_a_batch_draws_each_image_is_timms_within_two_levels(
    interpolation, crops, pictures, timm_operation, difference
):
    count, layers = len(crops), Policy.parse("rand-m9-mstd0.5-n9-p0.9-inc1").draw(len(crops))
    for draw in layers:
        ours = apply(crops, draw, torch.tensor(FILL), interpolation)
        theirs = list(pictures)
        for index in range(count):
            number = draw.operation[index]
            if number >= 0:
                options = (draw.magnitude[index].item(), draw.sign[index].item(), interpolation)
                theirs[index] = timm_operation(OPERATIONS[number], *options)(pictures[index])
        off = difference(ours, theirs)
        assert off.mean() < 0.5
        assert off.mean(axis=(1, 2, 3)).max() < 1


def test_flat_pictures_have_nothing_to_stretch():
    flat = torch.tensor([0, 93, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(-1, 3, 8, 8)
    for name in ("AutoContrast", "Equalize"):
        assert torch.equal(apply(flat, draw_of(name, 9.0, 1, 3), torch.zeros(3), "bilinear"), flat)


def test_a_layer_does_to_each_image_its_own_and_nothing_to_the_rest(crops):
    crops = crops.repeat(3, 1, 1, 1)[:32]
    draw = Policy.parse(PAPER).draw(32)[0]
    together = apply(crops, draw, torch.tensor(FILL), "bicubic")
    for index in range(32):
        own = Draw(
            *(part[index : index + 1] for part in (draw.operation, draw.magnitude, draw.sign))
        )
        alone = apply(crops[index : index + 1], own, torch.tensor(FILL), "bicubic")
        assert torch.equal(alone[0], together[index]), OPERATIONS[own.operation]
    left_alone = draw.operation == -1
    assert 0 < left_alone.sum() < 32
    assert torch.equal(together[left_alone], crops[left_alone])


def test_reads_timms_notation():
    assert Policy.parse(PAPER) == Policy(9.0, 0.5, 0.5, 2)
    assert Policy.parse("rand-inc1") == Policy(10.0, 0.0, 0.5, 2)
    assert Policy.parse("rand-m7-n3-p0.8-mstd1-inc1") == Policy(7.0, 1.0, 0.8, 3)


def test_each_layer_draws_operations_alike_and_half_of_the_time():
    layers = Policy.parse(PAPER).draw(30_000)
    assert len(layers) == 2
    for draw in layers:
        counts = torch.bincount(draw.operation + 1, minlength=16).numpy()
        expected = 30_000 * np.array([1 / 2] + [1 / 30] * 15)
        assert chisquare(counts, expected).pvalue > 1e-3
        signs = torch.bincount((draw.sign > 0).long()).numpy()
        assert chisquare(signs).pvalue > 1e-3
    both = torch.histogramdd(
        torch.stack([layer.operation for layer in layers], 1).double(), bins=[16, 16]
    ).hist.flatten()
    single = np.array([1 / 2] + [1 / 30] * 15)
    assert chisquare(both.numpy(), 30_000 * np.outer(single, single).ravel()).pvalue > 1e-3


def test_magnitudes_are_normal_about_nine_and_clipped_at_ten():
    magnitude = Policy.parse(PAPER).draw(30_000)[0].magnitude.numpy()
    assert magnitude.max() == 10.0
    edges = np.array([0, *np.arange(7.75, 10, 0.25)])
    counts, _ = np.histogram(magnitude, [*edges, 10.01])
    below = norm.cdf([*edges[1:], np.inf], 9, 0.5)
    assert chisquare(counts, 30_000 * np.diff(below, prepend=0)).pvalue > 1e-3
    clipped = 1 - norm.cdf(10, 9, 0.5)
    assert (magnitude == 10.0).mean() == pytest.approx(clipped, abs=0.004)
