"""The filter that smooths the edges of blocks in H.264 (ITU-T H.264 8.7), where they are weak enough.

Of the standard's strengths only that for edges of intra-coded macroblocks (bS = 4, its luma filter), at every
edge of 8x8 blocks and for all planes alike. It reads four pixels on either side and changes three, so edges
do not wait for each other, and each is a product of eight pixels with a matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.batches.augment.draws import to_device_of

# fmt: off
ALPHA = [0] * 16 + [  # table 8-16, by QP
    4, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 17, 20, 22, 25, 28, 32, 36,
    40, 45, 50, 56, 63, 71, 80, 90, 101, 113, 127, 144, 162, 182, 203, 226, 255, 255,
]
BETA = [0] * 16 + [
    2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 6, 6, 7, 7, 8, 8, 9, 9,
    10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18,
]
# fmt: on


GAPS = [  # p0 - q0, p1 - p0, q1 - q0, p2 - p0, q2 - q0 of p3 p2 p1 p0 q0 q1 q2 q3
    [0, 0, 0, 1, -1, 0, 0, 0],
    [0, 0, 1, -1, 0, 0, 0, 0],
    [0, 0, 0, 0, -1, 1, 0, 0],
    [0, 1, 0, -1, 0, 0, 0, 0],
    [0, 0, 0, 0, -1, 0, 1, 0],
]
FLAT = [  # p3 p2 p1 p0 where the side is flat, in eighths
    [8, 0, 0, 0, 0, 0, 0, 0],
    [2, 3, 1, 1, 1, 0, 0, 0],
    [0, 2, 2, 2, 2, 0, 0, 0],
    [0, 1, 2, 2, 2, 1, 0, 0],
]
STEEP = [  # and where it is not
    [8, 0, 0, 0, 0, 0, 0, 0],
    [0, 8, 0, 0, 0, 0, 0, 0],
    [0, 0, 8, 0, 0, 0, 0, 0],
    [0, 0, 4, 2, 0, 2, 0, 0],
]


def deblock(planes: Tensor, qp: Tensor) -> Tensor:
    """Filter float32 (N, C, H, W), sides divisible by 8, by `qp` int64 (N,) of 0..51 on the host."""
    alpha, beta = (
        to_device_of(torch.tensor(table, dtype=torch.float32)[qp], planes).view(-1, 1, 1, 1, 1)
        for table in (ALPHA, BETA)
    )
    gaps = to_device_of(torch.tensor(GAPS, dtype=torch.float32).T, planes)
    sides = [torch.tensor(side) / 8 for side in (FLAT, STEEP)]
    weights = torch.cat([torch.cat([side, side.flip(0, 1)]) for side in sides])  # q mirrors p
    smoothing = to_device_of(weights.T.contiguous(), planes)
    for _ in range(2):  # edges between columns, then between rows
        planes = _filtered(planes, gaps, smoothing, alpha, beta).transpose(2, 3)
    return planes


def _filtered(
    planes: Tensor, gaps: Tensor, smoothing: Tensor, alpha: Tensor, beta: Tensor
) -> Tensor:
    """Filter the edges between columns of blocks."""
    edges = planes[..., 4:-4].reshape(*planes.shape[:3], -1, 8)
    gap = (edges @ gaps).abs_()
    is_weak = (gap[..., :1] < alpha) & (gap[..., 1:3] < beta).all(dim=-1, keepdim=True)
    is_flat = (gap[..., 3:] < beta) & (gap[..., :1] < alpha / 4 + 2)
    flat, steep = (edges @ smoothing).chunk(2, dim=-1)
    smooth = torch.where(is_flat.repeat_interleave(4, dim=-1), flat, steep)
    filtered = torch.where(is_weak, smooth, edges).flatten(3)
    return torch.cat([planes[..., :4], filtered, planes[..., -4:]], dim=-1)
