"""A balanced weight is measured once, kept, and refused where there is nothing to measure."""

import pytest
import torch

from dfray.errors import TrainingError
from dfray.losses.balance import BalancedWeight


def feed(weight, *pairs):
    return [weight(torch.tensor(reference), torch.tensor(term)) for reference, term in pairs]


def test_it_is_the_ratio_so_far_and_then_constant():
    weight = BalancedWeight(2)
    assert feed(weight, (1.0, 4.0), (2.0, 2.0), (100.0, 1.0)) == [0.25, 0.5, 0.5]


def test_evaluation_measures_nothing():
    weight = BalancedWeight(2)
    feed(weight, (1.0, 4.0))
    assert feed(weight.eval(), (7.0, 1.0)) == [0.25]
    assert feed(weight.train(), (2.0, 2.0)) == [0.5]


def test_settling_ends_the_measuring():
    weight = BalancedWeight(50)
    feed(weight, (3.0, 2.0))
    weight.settle()
    assert feed(weight, (9.0, 1.0)) == [1.5]


@pytest.mark.parametrize("steps", [1, 5])
def test_it_goes_on_from_its_state(steps):
    pairs = [(1.0, 4.0), (2.0, 2.0), (4.0, 1.0), (8.0, 9.0)]
    whole = feed(BalancedWeight(steps), *pairs)
    cut, resumed = BalancedWeight(steps), BalancedWeight(steps)
    feed(cut, *pairs[:2])
    resumed.load_state_dict(cut.state_dict())
    assert feed(resumed, *pairs[2:]) == whole[2:]


def test_a_term_that_is_always_zero_is_refused():
    weight = BalancedWeight(2)
    assert feed(weight, (1.0, 0.0)) == [0.0]
    with pytest.raises(TrainingError, match=r"no active triplet in 2 batches.*triplet\.margin"):
        feed(weight, (1.0, 0.0))


def test_what_is_not_finite_is_not_measured():
    weight = BalancedWeight(2)
    assert feed(weight, (1.0, 2.0), (float("nan"), 1.0), (1.0, 2.0)) == [0.5, 0.5, 0.5]
