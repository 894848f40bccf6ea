"""Random numbers: uniform, one row a face, of the seed or of the face alone."""

import pytest
import torch

from dfray.batches.self_blend.draws import NUMBERS, Draws
from tests.helpers.mesh import oval_landmarks


def numbers(draws: Draws) -> torch.Tensor:
    return draws.take(NUMBERS)


def test_the_global_generator_fixes_fresh_draws():
    like = torch.zeros(4, 3)
    torch.manual_seed(1)
    first, second = numbers(Draws.fresh(like)), numbers(Draws.fresh(like))
    torch.manual_seed(1)
    assert torch.equal(numbers(Draws.fresh(like)), first)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_a_faces_own_draws_do_not_depend_on_its_batch():
    faces = oval_landmarks(6) + torch.arange(6)[:, None, None] / 100
    together = numbers(Draws.of(faces, seed=3))
    apart = torch.cat([numbers(Draws.of(faces[i : i + 1], seed=3)) for i in range(6)])
    assert torch.equal(together, apart)
    assert len(together.unique(dim=0)) == 6
    assert not torch.equal(together, numbers(Draws.of(faces, seed=4)))


def test_no_number_is_handed_out_twice():
    draws = Draws(torch.arange(NUMBERS).float()[None])
    first, second = draws.take(3), draws.take(2)
    assert first.tolist() == [[0, 1, 2]]
    assert second.tolist() == [[3, 4]]
    with pytest.raises(AssertionError, match="too small"):
        draws.take(NUMBERS)


def test_choices_and_ranges_are_uniform():
    torch.manual_seed(0)
    draws = Draws.fresh(torch.zeros(6000))
    chosen = draws.one_of((0.25, 0.5, 1.0, 1.0)).flatten()
    for value, share in ((0.25, 0.25), (0.5, 0.25), (1.0, 0.5)):
        assert (chosen == value).float().mean() == pytest.approx(share, abs=0.02)
    spread = draws.within(0.2)
    assert -0.2 <= spread.min() < -0.199
    assert 0.199 < spread.max() <= 0.2
    assert spread.mean() == pytest.approx(0, abs=0.005)
    assert draws.coin().float().mean() == pytest.approx(0.5, abs=0.02)
