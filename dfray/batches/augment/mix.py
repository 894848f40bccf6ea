"""mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899), by option; both off in the papers' recipes.

timm's own, one draw for a batch, every image with the one as far from the batch's other end. The labels
become distributions over the classes, from which no triplet can be mined: the recipe refuses both at once.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dfray.config import AugmentSection

Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def mixer(section: AugmentSection, num_classes: int) -> Mixer | None:
    """(B, 3, S, S), int64 (B,) -> mixed in place, float32 (B, num_classes); none if both are off.

    Its draws come from numpy's global generator. B is even.
    """
    if not section.mixes:
        return None
    from timm.data.mixup import Mixup

    return Mixup(
        mixup_alpha=section.mixup,
        cutmix_alpha=section.cutmix,
        label_smoothing=0.0,  # that is the objective's
        num_classes=num_classes,
    )
