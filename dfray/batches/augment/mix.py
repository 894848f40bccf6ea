"""mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899), optional; both off in the papers' recipes.

timm's implementation: one draw for a batch, image i mixed with image B - 1 - i. The labels become
distributions over the classes, from which no triplet can be mined: the recipe refuses mixing with triplets.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dfray.config import AugmentSection

Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def mixer(section: AugmentSection, num_classes: int) -> Mixer | None:
    """Return the mixer, or None if both are off.

    It maps (B, 3, S, S), mixed in place, and int64 (B,) to float32 (B, num_classes). Its random numbers come
    from numpy's global generator. B is even.
    """
    if not section.mixes:
        return None
    from timm.data.mixup import Mixup

    mixup: Mixer = Mixup(
        mixup_alpha=section.mixup,
        cutmix_alpha=section.cutmix,
        label_smoothing=0.0,  # the objective smooths
        num_classes=num_classes,
    )
    return mixup
