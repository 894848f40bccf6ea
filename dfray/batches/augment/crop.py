"""Random resized crop and flip, as two weighted sums over all images at once.

A crop and its stretch are separable: each row of the result is a weighted sum of a few rows of the
source, each column then one of a few columns. The weights are Pillow's `Image.resize` (antialiased, bicubic
with a = -0.5; nothing outside the crop is read). The result is Pillow's to within one level.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.draws import Boxes, Whole, to_device_of

RATIO = (3 / 4, 4 / 3)  # torchvision's and timm's, width over height


def draw_crops(count: int, side: int, scale: tuple[float, float] | None) -> Boxes:
    """Draw boxes of area `scale`, a range of fractions of the picture; all of it if None or if none fits."""
    whole = np.array([[0], [0], [side], [side]])
    if scale is None:
        return Boxes(torch.from_numpy(whole.repeat(count, axis=1)))
    edges = Boxes.draw(count, side, scale, RATIO, most=side).edges.numpy()
    return Boxes(torch.from_numpy(np.where(edges[2] > 0, edges, whole)))


def flip(images: Tensor, probability: float) -> Tensor:
    """Mirror some of uint8 (B, 3, S, S), left to right."""
    mirrored = to_device_of(torch.rand(len(images), 1, 1, 1) < probability, images)
    return torch.where(mirrored, images.flip(3), images)


def resized_crop(images: Tensor, boxes: Boxes, size: int, interpolation: str) -> Tensor:
    """Cut out each image's box and stretch it: uint8 (B, 3, H, H) -> uint8 (B, 3, size, size)."""
    count, channels, side, _ = images.shape
    left, top, width, height = boxes.edges.numpy()
    starts, lengths = np.concatenate([top, left]), np.concatenate([height, width])
    pixels, weights = _taps(starts, lengths, side, size, interpolation, images.device)
    (rows, columns), (row_weights, column_weights) = pixels.chunk(2), weights.chunk(2)
    source = images.permute(0, 2, 3, 1).reshape(count * side, -1).float()
    high = F.embedding_bag(rows, source, mode="sum", per_sample_weights=row_weights)
    turned = high.view(count, size, side, channels).transpose(1, 2).reshape(count * side, -1)
    resized = F.embedding_bag(columns, turned, mode="sum", per_sample_weights=column_weights)
    resized = resized.round_().clamp_(0, 255).to(torch.uint8)
    return resized.view(count, size, size, channels).permute(0, 3, 2, 1).contiguous()


def _taps(
    start: Whole, length: Whole, side: int, size: int, interpolation: str, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the source pixels of each output pixel, and their weights, which sum to 1.

    Args:
        start, length: (2 B,), of the boxes' rows and then of their columns, on the host.

    Returns:
        pixels: int64 (2 B size, K) on `device`, counted through the B pictures of `side`.
        weights: float32 (2 B size, K).
    """
    scale = length / size
    stretch = np.maximum(scale, 1)  # of the kernel: antialiasing
    reach = (2 if interpolation == "bicubic" else 1) * stretch
    n_taps = math.ceil(2 * reach.max()) + 1
    picture = np.tile(np.arange(len(start) // 2), 2) * side
    of_boxes = np.stack([start - 0.5, scale, reach, stretch, start, start + length - 1, picture])
    centre, scales, reaches, stretches, first, last, picture_start = (
        torch.from_numpy(of_boxes.astype(np.float32)[..., None, None])
        .to(device, non_blocking=True)
        .unbind()
    )
    output = torch.arange(0.5, size, device=device)[:, None]
    centres = torch.addcmul(centre, output, scales)
    taps = (centres - reaches).floor_() + torch.arange(n_taps, device=device)
    away = (taps - centres).div_(stretches).abs_()
    weights = _bicubic(away) if interpolation == "bicubic" else (1 - away).clamp_(min=0)
    pixels = torch.clamp(taps, first, last)
    weights *= pixels == taps
    weights /= weights.sum(dim=2, keepdim=True)
    return (pixels + picture_start).long().view(-1, n_taps), weights.view(-1, n_taps)


def _bicubic(away: Tensor) -> Tensor:
    """Return Keys' kernel (IEEE ASSP 29(6), 1981) at distances >= 0; a = -0.5 as in Pillow's resize.

    With s = max(1 - away, 0) and t = max(2 - away, 0) it is s^2 (1 - 2 s) - t^2 (1 - t) / 2.
    """
    s, t = (1 - away).clamp_(min=0), (2 - away).clamp_(min=0)
    near, far = s.square(), t.square()
    near.addcmul_(near, s, value=-2)
    return near.add_(far.addcmul_(far, t, value=-1), alpha=-0.5)
