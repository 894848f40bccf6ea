"""Augmentation as a whole: what goes in and out, and that a seed fixes it."""

import pytest
import torch

from dfray.batches.augment import Augment
from dfray.config import AugmentSection, ModelSection
from dfray.models.preprocess import Preprocess
from tests.benchmarks.build_augment import FSFM, DispatchCount
from tests.helpers.gpu import waits_for_a_gpu

ALL = AugmentSection(
    crop_scale=(0.08, 1.0),
    affine={},
    randaugment="rand-m9-mstd0.5-inc1",
    blur=0.5,
    jpeg=0.9,
    erasing=0.5,
)
DEGRADED = AugmentSection(degrade={"order": "shuffled", "noise": None})
"""Without noise, which is drawn where the pixels are."""
NONE = AugmentSection(flip=0, crop_scale=None, brightness=0, contrast=0)


def augment_to(size, section):
    return Augment(section, Preprocess(ModelSection(size_px=size)))


@pytest.fixture
def faces():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (16, 3, 40, 40), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("section", [AugmentSection(), FSFM, ALL, DEGRADED])
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


@pytest.mark.parametrize("section", [AugmentSection(), FSFM, ALL, DEGRADED])
def test_the_seed_fixes_every_draw(section, faces):
    augment = augment_to(40, section)
    torch.manual_seed(7)
    first, second = augment(faces), augment(faces)
    torch.manual_seed(7)
    assert torch.equal(augment(faces), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("section", [AugmentSection(), FSFM, ALL, DEGRADED])
def test_each_image_has_its_own_draw(section, faces):
    changed = augment_to(40, section)(faces[:1].expand(8, -1, -1, -1))
    for other in range(1, 8):
        assert not torch.equal(changed[0], changed[other])


def test_a_batch_in_which_no_image_draws_a_change_is_left_alone(faces):
    rarely = dict.fromkeys(("flip", "blur", "jpeg", "erasing"), 1e-9)
    section = AugmentSection(**rarely, crop_scale=None, brightness=0, contrast=0)
    assert torch.equal(augment_to(40, section)(faces), augment_to(40, NONE)(faces))


def test_what_comes_in_from_outside_is_the_mean(faces):
    augment = augment_to(40, FSFM)
    assert augment.fill.tolist() == [124, 116, 104]  # ImageNet's


def test_the_papers_augmentation_is_280_tensor_operations_a_step_at_most(crops):
    """A GPU waits for Python, which needs about the same time for each operation that it dispatches."""
    augment, faces = augment_to(224, FSFM), crops.repeat(6, 1, 1, 1)[:64]
    counts = []
    for seed in range(20):
        torch.manual_seed(seed)
        with DispatchCount() as dispatched:
            augment(faces)
        counts.append(dispatched.count)
    assert sum(counts) / 20 <= 280, counts


def on_gpu(section):
    return augment_to(224, section).to("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("section", [AugmentSection(), FSFM, ALL, DEGRADED])
def test_a_gpu_makes_the_same_of_a_face(section, crops):
    """All but erasing, whose noise is drawn where the pixels are. A level that rounds the other way may be
    on the other side of a threshold of RandAugment, or move a block of JPEG by a step."""
    faces, means, others = crops, [], []
    for seed in range(4):
        torch.manual_seed(seed)
        here = augment_to(224, section).levels(faces)
        torch.manual_seed(seed)
        there = on_gpu(section).levels(faces.cuda()).cpu()
        off = (here.int() - there.int()).abs().float()
        means.append(off.mean().item())
        others.append((off > 1).float().mean().item())
    print(f"levels: {means} on average; beyond one: {others}")
    assert max(means) < 0.1
    assert max(others) < 0.03


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("section", [AugmentSection(), FSFM, ALL, DEGRADED])
def test_a_gpu_is_given_its_work_without_being_waited_for(section, crops):
    augment, faces = on_gpu(section), crops.cuda()
    augment(faces)  # what is set up at the first call may wait
    for _ in range(8):
        assert waits_for_a_gpu(lambda: augment(faces)) == []
