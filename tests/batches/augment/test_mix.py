"""mixup and cutmix: off by default, soft labels that say how much of each class is seen."""

import pytest
import torch

from dfray.batches.augment import mixer
from dfray.config import AugmentSection


def batch():
    """Black pictures of class 0 and white ones of class 1, by halves."""
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    return labels.float().view(-1, 1, 1, 1).expand(-1, 3, 32, 32).clone(), labels


def test_both_are_off_by_default():
    assert mixer(AugmentSection(), 2) is None


@pytest.mark.parametrize("options", [{"mixup": 0.8}, {"cutmix": 1.0}])
def test_labels_say_how_much_of_each_class_is_seen(options):
    mix = mixer(AugmentSection(**options), 2)
    drawn = set()
    for _ in range(20):
        images, soft = mix(*batch())
        assert soft.shape == (6, 2)
        torch.testing.assert_close(soft.sum(1), torch.ones(6))
        torch.testing.assert_close(soft[:, 1], images.mean((1, 2, 3)))  # white is class 1
        drawn.add(round(soft[0, 1].item(), 4))
    assert len(drawn) > 10


def test_mixup_is_between_two_pictures_and_cutmix_pastes():
    mixed, _ = mixer(AugmentSection(mixup=1.0), 2)(*batch())
    assert len(mixed[0].unique()) == 1
    pasted, _ = mixer(AugmentSection(cutmix=1.0), 2)(*batch())
    assert set(pasted.unique().tolist()) <= {0.0, 1.0}
