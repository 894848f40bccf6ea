"""Chains of JPEG are libjpeg's, one after another."""

import io

import numpy as np
import torch
from PIL import Image
from scipy.stats import chisquare

from dfray.batches.augment.degrade import jpeg
from dfray.config.degrade import JpegSection


def through_pillow(picture, qualities):
    for quality in filter(None, qualities):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        picture = Image.open(buffer).convert("RGB")
    return picture


def test_each_image_goes_through_its_own_chain(crops, pictures, difference):
    chains = [[90, 0, 0], [60, 30, 0], [30, 80, 50], [20, 95, 0]]
    theirs = [through_pillow(p, chain) for p, chain in zip(pictures, chains, strict=False)]
    off = difference(jpeg.apply(crops[:4], torch.tensor(chains)), theirs).mean((1, 2, 3))
    lost = difference(crops[:4], theirs).mean((1, 2, 3))
    assert (off < 0.5 * lost).all()  # a coefficient at half a step may be rounded to either side


def test_an_image_without_a_pass_stays(crops):
    assert torch.equal(jpeg.apply(crops[:2], torch.zeros(2, 3, dtype=torch.long)), crops[:2])


def test_passes_and_qualities_are_uniform_in_their_ranges():
    drawn = jpeg.draw(JpegSection(quality=(30, 89), passes=(1, 3)), 6000)
    passes = (drawn > 0).sum(dim=1)
    assert ((drawn > 0).int().diff(dim=1) <= 0).all(), "passes come one after another"
    assert chisquare(np.bincount(passes, minlength=4)[1:]).pvalue > 1e-3
    assert passes.min() == 1
    qualities = drawn[drawn > 0].numpy()
    assert (qualities.min(), qualities.max()) == (30, 89)
    assert chisquare(np.bincount(qualities)[30:]).pvalue > 1e-3


def test_each_pass_has_a_quality_of_its_own():
    drawn = jpeg.draw(JpegSection(passes=(2, 2)), 2000).double().numpy()
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.08
