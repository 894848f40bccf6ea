"""Random resized crop and flip, as two batched matrix products.

Each image's crop, stretch and mirror is separable: one matrix for its rows and one for its columns,
whose weights are Pillow's `Image.resize` (antialiased, bicubic with a = -0.5; nothing outside the crop is
read). The result is Pillow's to within one level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.batches.augment.draws import Boxes, draw_indices, to_device_of

RATIO = (3 / 4, 4 / 3)  # torchvision's and timm's, width over height


def draw_crops(count: int, side: int, scale: tuple[float, float] | None) -> Boxes:
    """Draw boxes of area `scale`, a range of fractions of the picture; all of it if None or if none fits."""
    if scale is None:
        zeros, sides = torch.zeros(count, dtype=torch.long), torch.full((count,), side)
        return Boxes(zeros, zeros, sides, sides)
    boxes = Boxes.draw(count, side, scale, RATIO, most=side)
    empty = boxes.width == 0
    return Boxes(
        boxes.left.masked_fill(empty, 0),
        boxes.top.masked_fill(empty, 0),
        boxes.width.masked_fill(empty, side),
        boxes.height.masked_fill(empty, side),
    )


def flip(images: Tensor, probability: float) -> Tensor:
    """Mirror some of uint8 (B, 3, S, S), left to right."""
    which = to_device_of(draw_indices(len(images), probability), images)
    return images.index_copy(0, which, images[which].flip(3))


def resized_crop(images: Tensor, boxes: Boxes, size: int, interpolation: str) -> Tensor:
    """Cut out each image's box and stretch it: uint8 (B, 3, H, H) -> uint8 (B, 3, size, size)."""
    side = images.shape[-1]
    starts = to_device_of(torch.cat([boxes.top, boxes.left]), images)
    lengths = to_device_of(torch.cat([boxes.height, boxes.width]), images)
    rows, columns = resize_weights(starts, lengths, side, size, interpolation).chunk(2)
    resized = rows[:, None] @ images.float() @ columns.transpose(1, 2)[:, None]
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def resize_weights(
    start: Tensor, length: Tensor, side: int, size: int, interpolation: str
) -> Tensor:
    """Return the weight of each of `side` source pixels in each of `size` output pixels of a box.

    float32 (B, size, side); rows sum to 1.
    """
    scale = (length.float() / size)[:, None, None]
    output, pixel = (torch.arange(count, device=start.device) for count in (size, side))
    centre = start[:, None, None] + (output[:, None] + 0.5) * scale
    away = ((pixel + 0.5 - centre) / scale.clamp(min=1)).abs_()
    weights = _bicubic(away) if interpolation == "bicubic" else (1 - away).clamp_(min=0)
    end = (start + length)[:, None, None]
    weights *= (pixel >= start[:, None, None]) & (pixel < end)
    return weights.div_(weights.sum(dim=2, keepdim=True))


def _bicubic(away: Tensor, a: float = -0.5) -> Tensor:
    """Return Keys' kernel (IEEE ASSP 29(6), 1981) at distances >= 0; a = -0.5 as in Pillow's resize."""
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * away * a - 4 * a
    return torch.where(away < 1, near, torch.where(away < 2, far, 0))
