"""A stand-in for one picture of H.264 at a constant rate factor, in batches on the device.

Of the codec (ITU-T H.264) it has BT.601 in limited range with chroma at half size, the uniform quantiser of
8x8 cosine coefficients, with steps of 0.625 x 2^(QP / 6) and x264's rounding of intra-coded blocks, chroma's
own QP, and the filter of block edges. It has neither prediction, 4x4 transforms nor rate control.
With QP = CRF a face loses what it loses in x264 (mean squared error within a fifth from CRF 18 to 38), though
not in the same places: below CRF 28 the two errors have little in common.

The codec itself takes 1.4 to 4 ms of a CPU for a face of 224 px, by settings and pictures in a clip. One
thread reads a worker's batches, and a GPU trains on 1,300 to 2,500 faces a second. There it would also act
before self-blending and before the rest of the chain.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.degrade.deblock import deblock
from dfray.batches.augment.draws import integers, to_device_of
from dfray.batches.augment.jpeg import in_blocks
from dfray.config.degrade import H264LikeSection

TO_YCC = [  # BT.601 of RGB in 0..255: Y - 16 in 0..219, Cb - 128 and Cr - 128 in -112..112
    [0.256788, 0.504129, 0.097906],
    [-0.148223, -0.290993, 0.439216],
    [0.439216, -0.367788, -0.071427],
]
# fmt: off
CHROMA_QP = [
    *range(30), 29, 30, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 37, 37, 37, 38, 38, 38, 39, 39, 39, 39,
]
# fmt: on
"""Table 8-15: QP of chroma by that of luma."""
ROUNDING = 1 / 3
"""Part of a step that is added before a coefficient is rounded down; half of it for the mean of a block."""


def draw(section: H264LikeSection, count: int) -> Tensor:
    """Draw the constant rate factor: int64 (count, 1)."""
    low, high = section.crf
    return integers(low, torch.full((count, 1), high))


def apply(images: Tensor, crf: Tensor) -> Tensor:
    """Compress uint8 (N, 3, S, S) by `crf` int64 (N, 1) of 0..51 on the host -> uint8 (N, 3, S, S)."""
    side = images.shape[-1]
    padding = -side % 16
    source = F.pad(images.float(), (0, padding, 0, padding), mode="replicate")
    matrix = torch.tensor(TO_YCC)
    ycc = torch.einsum("ij,njhw->nihw", to_device_of(matrix, images), source).round_()
    qp = crf[:, 0]
    # mid-grey: the least error where a block has no detail
    luma = _coded(ycc[:, :1] - 112, qp) + 112
    chroma = _coded(F.avg_pool2d(ycc[:, 1:], 2).round_(), torch.tensor(CHROMA_QP)[qp])
    wide = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    decoded = torch.cat([luma.clamp_(0, 219), wide.clamp_(-112, 112)], dim=1)
    rgb = torch.einsum("ij,njhw->nihw", to_device_of(matrix.inverse(), images), decoded)
    return rgb[..., :side, :side].round_().clamp_(0, 255).to(torch.uint8)


def _coded(planes: Tensor, qp: Tensor) -> Tensor:
    """Quantise and filter (N, C, H, W) by `qp` (N,) on the host; whole levels."""
    step = to_device_of(0.625 * 2 ** (qp / 6), planes).view(-1, 1, 1, 1)
    rounding = to_device_of(torch.tensor([0.5, *[ROUNDING] * 63]), planes)

    def quantised(blocks: Tensor) -> Tensor:
        level = blocks.abs().div_(step).add_(rounding).floor_()
        return level.mul_(step).copysign_(blocks)

    return deblock(in_blocks(planes, quantised), qp).round_()
