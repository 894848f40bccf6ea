"""Pairs: a real view, and its fake that differs within the mask and nowhere else."""

import pytest
import torch

from dfray.batches.self_blend import Draws, SelfBlend
from dfray.batches.self_blend.views import shift_alike
from dfray.config import PairShiftSection, SelfBlendSection
from tests.helpers.gpu import waits_for_a_gpu
from tests.helpers.mesh import oval_landmarks

SIDE = 96


@pytest.fixture
def pixels():
    """Smooth pictures on whole levels."""
    coarse = torch.rand(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    return (smooth * 255).round() / 255


def blended(pixels, seed=0, **options):
    torch.manual_seed(seed)
    return SelfBlend(SelfBlendSection(**options))(pixels, oval_landmarks(len(pixels)))


def test_outside_the_mask_the_fake_is_exactly_its_real_partner(pixels):
    pair = blended(pixels)
    outside = (pair.mask == 0).expand_as(pixels)
    assert torch.equal(pair.fake[outside], pair.real[outside])
    assert 0.4 < outside.float().mean() < 0.9


def test_inside_the_mask_every_fake_differs_from_its_partner(pixels):
    pair = blended(pixels)
    changed = (pair.fake != pair.real).any(dim=1, keepdim=True)
    core = pair.mask == pair.mask.amax(dim=(2, 3), keepdim=True)
    assert ((changed & core).sum(dim=(1, 2, 3)) > 0.5 * core.sum(dim=(1, 2, 3))).all()


def test_real_and_fake_lie_on_the_levels_of_stored_pixels(pixels):
    pair = blended(pixels)
    for view in (pair.real, pair.fake):
        assert view.dtype == torch.float32
        assert view.min() >= 0
        assert view.max() <= 1
        torch.testing.assert_close(view * 255, (view * 255).round(), atol=1e-4, rtol=0)


def test_half_of_the_real_views_are_the_face_as_it_was_stored(pixels):
    stored = (blended(pixels).real == pixels).flatten(1).all(dim=1)
    assert 4 <= stored.sum() <= 12


def test_its_input_is_left_alone(pixels):
    before = pixels.clone()
    blended(pixels)
    assert torch.equal(pixels, before)


def test_the_seed_fixes_every_draw(pixels):
    first, again, other = blended(pixels, 1), blended(pixels, 1), blended(pixels, 2)
    assert torch.equal(first.fake, again.fake)
    assert torch.equal(first.mask, again.mask)
    assert not torch.equal(first.fake, other.fake)


def test_each_face_has_its_own_draw(pixels):
    pair = blended(pixels[:1].expand(16, -1, -1, -1))
    assert len(pair.mask.flatten(1).unique(dim=0)) == 16
    assert len(pair.fake.flatten(1).unique(dim=0)) == 16


def test_a_batch_gives_each_face_what_it_would_have_alone(pixels):
    blend = SelfBlend(SelfBlendSection())
    points = oval_landmarks(4) + torch.arange(4)[:, None, None] / 50
    together = blend(pixels[:4], points, Draws.of(points, 0))
    for i in range(4):
        one = points[i : i + 1]
        alone = blend(pixels[i : i + 1], one, Draws.of(one, 0))
        torch.testing.assert_close(alone.fake[0], together.fake[i], atol=1 / 250, rtol=0)


def test_without_a_ratio_the_fake_is_the_real_view(pixels):
    pair = blended(pixels, ratios=(0.0,))
    assert torch.equal(pair.fake, pair.real)


def test_a_batch_to_train_on_has_real_and_fake_by_turns(pixels):
    torch.manual_seed(0)
    both, labels = SelfBlend(SelfBlendSection()).pairs(pixels, oval_landmarks(16))
    pair = blended(pixels)
    assert labels.tolist() == [0, 1] * 16
    assert torch.equal(both[0::2], pair.real)
    assert torch.equal(both[1::2], pair.fake)


def test_the_colours_of_a_pair_are_shifted_alike_after_blending(pixels):
    muted = (pixels * 0.2 + 0.4).mul(255).round().div(255)
    points = oval_landmarks(len(pixels))
    torch.manual_seed(1)
    plain, _ = SelfBlend(SelfBlendSection()).pairs(muted, points)
    torch.manual_seed(1)
    shift = PairShiftSection(probability=1, contrast=0, brightness=0.2)
    shifted, _ = SelfBlend(SelfBlendSection(pair_shift=shift)).pairs(muted, points)
    moved = (shifted - plain).unflatten(0, (-1, 2))  # (B, real and fake, 3, S, S)
    by_pair = moved.mean(dim=(3, 4))
    torch.testing.assert_close(by_pair[:, 0], by_pair[:, 1], atol=0.005, rtol=0)
    assert (by_pair.abs() > 0.004).any(dim=2).all()
    assert by_pair.abs().max() < 0.2 + 0.08 + 0.01
    assert len(by_pair[:, 0].unique(dim=0)) == len(pixels)


def test_each_of_two_shifts_is_made_with_its_probability(pixels):
    many = pixels.mul(0.2).add(0.4).mul(255).round().div(255).repeat(20, 1, 1, 1)
    torch.manual_seed(2)
    views = shift_alike((many, many), Draws.fresh(many), PairShiftSection())
    assert torch.equal(*views)
    share = ((views[0] - many).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean().item()
    assert share == pytest.approx(1 - 0.7**2, abs=0.08)


def test_without_a_shift_of_pairs_a_batch_is_what_it_was(pixels):
    points = oval_landmarks(len(pixels))
    torch.manual_seed(3)
    batch, _ = SelfBlend(SelfBlendSection()).pairs(pixels, points)
    pair = blended(pixels, seed=3)
    assert torch.equal(batch, torch.stack((pair.real, pair.fake), dim=1).flatten(0, 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_a_gpu_gives_the_same_faces(pixels):
    points = oval_landmarks(16)
    blend = SelfBlend(SelfBlendSection())
    here = blend(pixels, points, Draws.of(points, 0))
    cuda = torch.device("cuda")
    there = blend(pixels.to(cuda), points.to(cuda), Draws.of(points, 0).to(cuda))
    assert (here.fake - there.fake.cpu()).abs().mean() < 1 / 255


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_gpu_is_given_its_work_without_being_waited_for(pixels):
    blend = SelfBlend(SelfBlendSection(pair_shift=PairShiftSection()))
    pixels, points = pixels.cuda(), oval_landmarks(16).cuda()
    blend.pairs(pixels, points)  # what is set up at the first call may wait
    assert waits_for_a_gpu(lambda: blend.pairs(pixels, points)) == []
