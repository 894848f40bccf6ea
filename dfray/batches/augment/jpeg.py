"""JPEG compression and decompression of a batch, each image at its own quality, without the bit stream.

Baseline JPEG (ITU-T T.81) with libjpeg's choices: chroma at half size, Annex K's tables scaled by
quality, coefficients rounded, triangle upsampling. Entropy coding is lossless and left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.draws import to_device_of

# fmt: off
LUMINANCE = [  # T.81 table K.1
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]
CHROMINANCE = [  # T.81 table K.2
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
]
# fmt: on
# JFIF 1.02: RGB -> Y, Cb - 128, Cr - 128, and back
TO_YCC = [
    [0.299, 0.587, 0.114],
    [-0.168735892, -0.331264108, 0.5],
    [0.5, -0.418687589, -0.081312411],
]
TO_RGB = [[1, 0, 1.402], [1, -0.344136286, -0.714136286], [1, 1.772, 0]]


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """Compress uint8 (N, 3, S, S) by `quality` int64 (N,) of 1..100 on the host -> uint8 (N, 3, S, S)."""
    side = images.shape[-1]
    padding = -side % 16
    source = F.pad(images.float(), (0, padding, 0, padding), mode="replicate")
    to_ycc = to_device_of(torch.tensor(TO_YCC), images)
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, source).round_()
    luma = _coded(ycc[:, :1] - 128, _table(LUMINANCE, quality, images)) + 128
    chroma = _coded(F.avg_pool2d(ycc[:, 1:], 2).round_(), _table(CHROMINANCE, quality, images))
    wide = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    to_rgb = to_device_of(torch.tensor(TO_RGB), images)
    ycc = torch.cat([luma.clamp_(0, 255), wide.clamp_(-128, 127)], dim=1).round_()
    rgb = torch.einsum("ij,njhw->nihw", to_rgb, ycc)
    return rgb[..., :side, :side].round_().clamp_(0, 255).to(torch.uint8)


def in_blocks(planes: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the cosine coefficients of 8x8 blocks, sides divisible by 8: (N, C, H, W) -> (N, C, H, W).

    Args:
        change: of coefficients (N, C, blocks, 64), the mean's first, then by rows of frequencies.
    """
    cosine = _cosine()
    basis = to_device_of(torch.kron(cosine, cosine), planes)
    count, channels, height, width = planes.shape
    cut = planes.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    decoded = change(cut.reshape(count, channels, -1, 64) @ basis.T) @ basis
    return decoded.view(cut.shape).transpose(3, 4).reshape(planes.shape)


def _coded(planes: Tensor, table: Tensor) -> Tensor:
    """Pass (N, C, H, W) through coefficients in steps of `table` (N, 1, 1, 64)."""
    return in_blocks(planes, lambda blocks: blocks.div_(table).round_().mul_(table))


def _table(base: list[int], quality: Tensor, images: Tensor) -> Tensor:
    """Return the table of a quality by libjpeg's scaling: quality 50 is the table itself, 100 is all ones."""
    given = quality.numpy()[:, None]
    percent = np.where(given < 50, 5000 // np.maximum(given, 1), 200 - 2 * given)
    scaled = ((np.array(base) * percent + 50) // 100).clip(1, 255).astype(np.float32)
    return to_device_of(torch.from_numpy(scaled[:, None, None]), images)


def _cosine() -> Tensor:
    """Return the orthonormal cosine transform of 8 values (T.81 A.3.3): (8, 8), a row for each frequency."""
    place = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi / 8 * place[:, None] * (place + 0.5)) / 2
    rows[0] /= math.sqrt(2)
    return rows.float()
