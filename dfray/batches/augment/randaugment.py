"""RandAugment (arXiv 1909.13719) as timm has it, in batches on the device.

`rand-m9-mstd0.5-inc1` (arXiv 2508.19730's fine-tuning) reads: two layers; in each, every image draws one of
the fifteen operations whose strength increases with the magnitude; it is applied with probability 0.5,
at a magnitude from N(9, 0.5) clipped to 0..10. The arithmetic is Pillow's, so a change differs from timm's by
rounding, and where bicubic resampling meets an edge.

A layer sorts the images by the kind of their operation: affine ones are one warp, tables of levels one
lookup, and Pillow's enhancements one blend, each of the images that drew it alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfray.batches.augment import colour
from dfray.batches.augment.draws import to_device_of
from dfray.batches.augment.warp import Matrices, about_centre, rotation, warp

AFFINE = ("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
OF_MAGNITUDE = (
    "Invert",
    "PosterizeIncreasing",
    "SolarizeIncreasing",
    "SolarizeAdd",
    "BrightnessIncreasing",
)
OF_LEVELS = {
    "AutoContrast": colour.autocontrast_tables,
    "Equalize": colour.equalize_tables,
}
"""Operation -> its tables of levels, from the levels of the images."""
ENHANCED = ("ContrastIncreasing", "ColorIncreasing", "SharpnessIncreasing")
TABLES = (*OF_MAGNITUDE, *OF_LEVELS)
OPERATIONS = (*AFFINE, *TABLES, *ENHANCED)
LARGEST = 10.0  # magnitude
SHEAR, SHIFT, DEGREES, ENHANCE = 0.3, 0.45, 30.0, 0.9  # at the largest magnitude


@dataclass(frozen=True)
class Draw:
    """One layer's draw, on the host.

    Attributes:
        operation: int64 (B,), index into OPERATIONS, or -1 for none.
        magnitude: float64 (B,), 0..10.
        sign: float64 (B,), 1 or -1, for the operations that have a direction.
    """

    operation: Tensor
    magnitude: Tensor
    sign: Tensor


@dataclass(frozen=True)
class Policy:
    """The distribution of layers; its fields are timm's m, mstd, p and n."""

    magnitude: float = LARGEST
    std: float = 0.0
    probability: float = 0.5
    layers: int = 2

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Parse timm's notation, which `AugmentSection` has checked."""
        options = dict(re.findall(r"-(mstd|m|p|n)([\d.]+)", text))
        return cls(
            magnitude=float(options.get("m", LARGEST)),
            std=float(options.get("mstd", 0)),
            probability=float(options.get("p", 0.5)),
            layers=int(options.get("n", 2)),
        )

    def draw(self, count: int) -> list[Draw]:
        """Return a draw for each layer."""
        shape = (self.layers, count)
        operation = torch.randint(len(OPERATIONS), shape)
        skipped = torch.rand(shape) >= self.probability
        deviation = torch.randn(shape, dtype=torch.float64)
        columns = (
            operation.masked_fill_(skipped, -1),
            deviation.mul_(self.std).add_(self.magnitude).clamp_(0, LARGEST),
            torch.randint(2, shape).double().mul_(2).sub_(1),
        )
        return [Draw(*layer) for layer in zip(*columns, strict=True)]


@dataclass(frozen=True)
class _Sorted:
    """Draws in the order of their operations, each (N,)."""

    operation: NDArray[np.int64]
    strength: NDArray[np.float64]
    sign: NDArray[np.float64]

    def of(self, names: Sequence[str]) -> _Sorted:
        """Return those of `names`, which are neighbours in OPERATIONS."""
        first = OPERATIONS.index(names[0])
        start, end = np.searchsorted(self.operation, [first, first + len(names)])
        return _Sorted(self.operation[start:end], self.strength[start:end], self.sign[start:end])

    def counts(self, names: Iterable[str]) -> list[int]:
        return [len(self.of([name]).operation) for name in names]

    @property
    def factor(self) -> NDArray[np.float64]:
        """Of an enhancement: 1 does not change the picture, 0 and 2 are the extremes."""
        return np.maximum(1 + self.sign * self.strength * ENHANCE, 0.1)


def apply(images: Tensor, draw: Draw, fill: Tensor, interpolation: str) -> Tensor:
    """Apply one layer to uint8 (B, 3, S, S); `fill` (3,) levels come in from outside the picture."""
    operation, side = draw.operation.numpy(), images.shape[-1]
    order = np.argsort(operation, kind="stable")
    strength, sign = draw.magnitude.numpy() / LARGEST, draw.sign.numpy()
    drawn = _Sorted(operation[order], strength[order], sign[order])
    affine, tables, enhanced = (drawn.of(names) for names in (AFFINE, TABLES, ENHANCED))
    changes = (
        (affine, lambda x: warp(x, _matrices(affine, side), fill, interpolation)),
        (tables, lambda x: _replace_levels(x, tables)),
        (enhanced, lambda x: _enhance(x, enhanced)),
    )
    sizes = [len(draws.operation) for draws, _ in changes]
    places = torch.from_numpy(np.stack([order, np.argsort(order)]))
    there, back = to_device_of(places, images).unbind()
    same, *parts = images.index_select(0, there).split([len(images) - sum(sizes), *sizes])
    changed = [change(part) for part, (_, change) in zip(parts, changes, strict=True) if len(part)]
    return torch.cat([same, *changed]).index_select(0, back)


def _matrices(drawn: _Sorted, side: int) -> Matrices:
    """Return the matrices from the result to the source: (N, 2, 3)."""
    level = drawn.strength * drawn.sign

    def amount(name: str, most: float) -> NDArray[np.float64]:
        reached: NDArray[np.float64] = level * most * (drawn.operation == OPERATIONS.index(name))
        return reached  # 0 for other operations

    shift = [amount(name, SHIFT * side) for name in ("TranslateXRel", "TranslateYRel")]
    turn = rotation(amount("Rotate", DEGREES))
    matrices = about_centre(turn, np.stack(shift, axis=1), side)
    matrices[:, 0, 1] += amount("ShearX", SHEAR)
    matrices[:, 1, 0] += amount("ShearY", SHEAR)
    return matrices


def _replace_levels(images: Tensor, drawn: _Sorted) -> Tensor:
    """Look every level up in its image's table, whatever the operation is."""
    flat = images.flatten(2).long()
    of_magnitude = [_magnitude_tables(name, drawn.of([name])) for name in OF_MAGNITUDE]
    host = torch.from_numpy(np.concatenate(of_magnitude).repeat(images.shape[1], axis=1))
    tables = [to_device_of(host, images)]
    _, *parts = flat.split([len(host), *drawn.counts(OF_LEVELS)])
    for make, part in zip(OF_LEVELS.values(), parts, strict=True):
        if len(part):
            tables.append(make(part))
    return torch.cat(tables).gather(2, flat).view_as(images)


def _magnitude_tables(name: str, drawn: _Sorted) -> NDArray[np.uint8]:
    """Return tables that depend on the magnitude alone: (N, 1, 256)."""
    if name == "BrightnessIncreasing":
        return colour.brightness_tables(drawn.factor)
    level, strength = np.arange(256.0), drawn.strength[:, None, None]
    if name == "Invert":
        tables = 255 - level + 0 * strength
    elif name == "PosterizeIncreasing":  # keeps 4..0 bits; 0 leaves black
        step = 2 ** (4 + np.floor(strength * 4))
        tables = np.floor(level / step) * step
    elif name == "SolarizeIncreasing":
        tables = np.where(level < 256 - np.floor(strength * 256), level, 255 - level)
    else:  # SolarizeAdd
        added = np.minimum(level + np.floor(strength * 110), 255)
        tables = np.where(level < 128, added, level)
    return tables.astype(np.uint8)


def _enhance(images: Tensor, drawn: _Sorted) -> Tensor:
    """Move images away from or towards what Pillow calls the degenerate image of the operation."""
    source, counts = images.float(), drawn.counts(ENHANCED)
    toned, sharp = source.split([sum(counts[:2]), counts[2]])
    contrast, grey = colour.grey(toned).split(counts[:2])
    even = colour.mean_level(contrast).expand_as(contrast)
    degenerate = torch.cat([torch.cat([even, grey]).expand_as(toned), colour.smooth(sharp)])
    factor = torch.from_numpy(drawn.factor.astype(np.float32).reshape(-1, 1, 1, 1))
    return colour.blend(degenerate, source, to_device_of(factor, images))
