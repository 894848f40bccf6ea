"""Padding of an EfficientNet that is fixed for one size of picture, whatever the input is.

efficientnet_pytorch computes TensorFlow's `same` padding once, for the size that the network is named with
(380 px for B4), and timm at each use, for the input. At another size the two differ in where the strided
layers look. DeepfakeBench replaces the stem besides by one without any padding.
"""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import RecipeError


class FixedPaddingConv2d(nn.Conv2d):
    """Convolution of a picture that is padded with zeros: `before` at the top and left, `after` elsewhere."""

    before: int
    after: int

    @classmethod
    def of(cls, conv: nn.Conv2d, before: int, after: int) -> FixedPaddingConv2d:
        """Return a convolution with the weights of another, and this padding in px."""
        fixed = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",
        )
        fixed.weight, fixed.bias = conv.weight, conv.bias
        fixed.before, fixed.after = before, after
        return fixed

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        sides = (self.before, self.after)
        return super().forward(F.pad(images, (*sides, *sides)))


def fix_padding(backbone: Any, section: ModelSection) -> None:
    """Fix the padding of the strided convolutions of a timm network for the section's size, in place.

    The stem gets none.

    Raises:
        RecipeError: the network does not pad as TensorFlow's EfficientNets do.
    """
    if section.fixed_padding_px is None:
        return
    padded = [(n, m) for n, m in backbone.named_modules() if isinstance(m, Conv2dSame)]
    if not padded:
        raise RecipeError(
            f"model.fixed_padding_px: {section.backbone} does not pad by the size of its input.",
            "Use it with tf_efficientnet_b4 and the like, or leave it out.",
        )
    side = section.fixed_padding_px
    for number, (name, conv) in enumerate(padded):
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        out = math.ceil(side / stride)
        total = max((out - 1) * stride + kernel - side, 0) if number else 0
        backbone.set_submodule(name, FixedPaddingConv2d.of(conv, total // 2, total - total // 2))
        side = out
