"""Augmentation as a whole: what goes in and out, and that a seed fixes it."""

import pytest
import torch

from dfray.batches.augment import Augment
from dfray.config import AugmentSection, ModelSection
from dfray.models.preprocess import Preprocess

PAPER = AugmentSection(  # arXiv 2508.19730's fine-tuning, as FSFM's code has it
    crop_scale=(0.08, 1.0),
    interpolation="bicubic",
    randaugment="rand-m9-mstd0.5-inc1",
    brightness=0,
    contrast=0,
    erasing=0.25,
)
ALL = AugmentSection(
    crop_scale=(0.08, 1.0),
    affine={},
    randaugment="rand-m9-mstd0.5-inc1",
    blur=0.5,
    jpeg=0.9,
    erasing=0.5,
)
NONE = AugmentSection(flip=0, crop_scale=None, brightness=0, contrast=0)


def augment_to(size, section):
    return Augment(section, Preprocess(ModelSection(size_px=size)))


@pytest.fixture
def faces():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (16, 3, 40, 40), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("section", [AugmentSection(), PAPER, ALL])
@pytest.mark.parametrize("size", [40, 32])
def test_gives_normalised_images_of_the_backbones_size(section, size, faces):
    images = augment_to(size, section)(faces)
    assert images.shape == (16, 3, size, size)
    assert images.dtype == torch.float32
    assert images.isfinite().all()


@pytest.mark.parametrize("size", [40, 32])
def test_with_everything_off_it_is_what_scoring_sees(size, faces):
    augment = augment_to(size, NONE)
    torch.testing.assert_close(
        augment(faces), augment.preprocess(faces.permute(0, 2, 3, 1)), rtol=0, atol=0.02
    )


def test_leaves_its_input_alone(faces):
    before = faces.clone()
    augment_to(40, ALL)(faces)
    assert torch.equal(faces, before)


@pytest.mark.parametrize("section", [AugmentSection(), PAPER, ALL])
def test_the_seed_fixes_every_draw(section, faces):
    augment = augment_to(40, section)
    torch.manual_seed(7)
    first, second = augment(faces), augment(faces)
    torch.manual_seed(7)
    assert torch.equal(augment(faces), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("section", [AugmentSection(), PAPER, ALL])
def test_each_image_has_its_own_draw(section, faces):
    changed = augment_to(40, section)(faces[:1].expand(8, -1, -1, -1))
    for other in range(1, 8):
        assert not torch.equal(changed[0], changed[other])


def test_what_comes_in_from_outside_is_the_mean(faces):
    augment = augment_to(40, PAPER)
    assert augment.fill.tolist() == [124, 116, 104]  # ImageNet's
