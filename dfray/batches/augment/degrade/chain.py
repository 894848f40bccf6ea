"""Chains of degradations: which image is changed by which operation, how much and in which order.

The fixed order is that of the classical model, blur, resizing, noise and compression (arXiv 2107.10833
section 3.1), after a screen capture; JPEG may be repeated. In shuffled order (arXiv 2103.14006) any order
is equally likely for an image, but a batch has `ORDERS` of them: at most one call of each operation in fixed
order, and `ORDERS` in shuffled. An operation is computed for the images that drew it and for no others.

To add an operation: a module with `draw` and `apply`, its line in `OPERATIONS`, its section in DegradeSection
(dfray/config/degrade.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from dfray.batches.augment.degrade import blur, h264_like, jpeg, noise, resize, screen
from dfray.batches.augment.draws import draw_indices, to_device_of
from dfray.config.degrade import DegradeSection

ORDERS = 2
"""Orders in a shuffled batch."""

Draw = Callable[[Any, int], Tensor]
"""(section, count) -> strengths, (count, n) on the host."""
Apply = Callable[[Tensor, Tensor], Tensor]
"""(uint8 (N, 3, S, S), strengths (N, n) on the host) -> uint8 (N, 3, S, S)."""

OPERATIONS: dict[str, tuple[Draw, Apply]] = {
    "screen": (screen.draw, screen.apply),
    "blur": (blur.draw, blur.apply),
    "resize": (resize.draw, resize.apply),
    "noise": (noise.draw, noise.apply),
    "jpeg": (jpeg.draw, jpeg.apply),
    "h264_like": (h264_like.draw, h264_like.apply),
}
"""In the fixed order; the names are the section's keys."""


def degrade(images: Tensor, section: DegradeSection) -> Tensor:
    """Degrade uint8 (B, 3, S, S) -> uint8 (B, 3, S, S); the input is not changed.

    Random numbers come from torch's global generators: those of the host, and of the device for noise.
    """
    count, changed = len(images), images.clone()
    names = [name for name in OPERATIONS if getattr(section, name)]
    chosen, strengths = {}, {}
    for name in names:
        options = getattr(section, name)
        chosen[name] = torch.zeros(count, dtype=torch.bool)
        chosen[name][draw_indices(count, options.probability)] = True
        strengths[name] = OPERATIONS[name][0](options, count)
    for order, members in _orders(names, count, section.order):
        for name in order:
            which = (chosen[name] & members).nonzero()[:, 0]
            if len(which):
                place = to_device_of(which, images)
                result = OPERATIONS[name][1](changed[place], strengths[name][which])
                changed.index_copy_(0, place, result)
    return changed


def _orders(names: list[str], count: int, order: str) -> Iterator[tuple[list[str], Tensor]]:
    """Yield each order of operations with the images that it concerns: bool (count,)."""
    if order == "fixed":
        yield names, torch.ones(count, dtype=torch.bool)
        return
    group = torch.randint(ORDERS, (count,))
    for number in range(ORDERS):
        yield [names[place] for place in torch.randperm(len(names))], group == number
