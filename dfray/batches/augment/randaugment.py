"""RandAugment (arXiv 1909.13719) as timm has it, in batches on the device.

`rand-m9-mstd0.5-inc1` (arXiv 2508.19730's fine-tuning) reads: two layers; in each, every image draws one of
the fifteen operations whose strength increases with the magnitude; it is applied with probability 0.5,
at a magnitude from N(9, 0.5) clipped to 0..10. The arithmetic is Pillow's, so a change differs from timm's by
rounding, and where bicubic resampling meets an edge.

A layer changes the images by families of operations: affine ones in one warp, tables of levels in one
lookup, saturation, sharpness; each family is computed only for the images that drew it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dfray.batches.augment import colour
from dfray.batches.augment.draws import to_device_of
from dfray.batches.augment.warp import about_centre, rotation, warp

AFFINE = ("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
TABLES = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "PosterizeIncreasing",
    "SolarizeIncreasing",
    "SolarizeAdd",
    "ContrastIncreasing",
    "BrightnessIncreasing",
)
SATURATION, SHARPNESS = "ColorIncreasing", "SharpnessIncreasing"
OPERATIONS = (*AFFINE, *TABLES, SATURATION, SHARPNESS)
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

    def of(self, *names: str) -> tuple[Tensor, Draw]:
        """Return the indices of the images that drew one of `names`, and their draws."""
        numbers = [OPERATIONS.index(name) for name in names]
        which = torch.from_numpy(np.flatnonzero(np.isin(self.operation.numpy(), numbers)))
        columns = (self.operation, self.magnitude, self.sign)
        return which, Draw(*(column.index_select(0, which) for column in columns))


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
        return [self._layer(count) for _ in range(self.layers)]

    def _layer(self, count: int) -> Draw:
        operation = torch.randint(len(OPERATIONS), (count,))
        skipped = torch.rand(count) >= self.probability
        magnitude = self.magnitude + self.std * torch.randn(count, dtype=torch.float64)
        return Draw(
            operation=operation.masked_fill(skipped, -1),
            magnitude=magnitude.clamp(0, LARGEST),
            sign=torch.randint(2, (count,)).double() * 2 - 1,
        )


def apply(images: Tensor, draw: Draw, fill: Tensor, interpolation: str) -> Tensor:
    """Apply one layer to uint8 (B, 3, S, S); `fill` (3,) levels come in from outside the picture."""
    side = images.shape[-1]
    changed = images.clone()
    for names, change in (
        (AFFINE, lambda x, draws: warp(x, _matrices(draws, side), fill, interpolation)),
        (TABLES, lambda x, draws: colour.look_up(x, _tables(x, draws))),
        ((SATURATION,), lambda x, draws: colour.saturate(x, _enhance(draws))),
        ((SHARPNESS,), lambda x, draws: colour.sharpen(x, _enhance(draws))),
    ):
        which, draws = draw.of(*names)
        if len(which):
            which = to_device_of(which, images)
            changed[which] = change(images[which], draws)
    return changed


def _matrices(draw: Draw, side: int) -> Tensor:
    """Return the matrices from the result to the source: float64 (N, 6)."""
    level = draw.magnitude / LARGEST * draw.sign

    def amount(name: str, most: float) -> Tensor:
        return level * most * (draw.operation == OPERATIONS.index(name))  # 0 for other operations

    shift = [amount(name, SHIFT * side) for name in ("TranslateXRel", "TranslateYRel")]
    turn = rotation(amount("Rotate", DEGREES))
    matrices = about_centre(turn, torch.stack(shift, dim=1), side)
    matrices[:, 1] += amount("ShearX", SHEAR)
    matrices[:, 3] += amount("ShearY", SHEAR)
    return matrices


def _tables(images: Tensor, draw: Draw) -> Tensor:
    """Return the new value of each level: uint8 (N, 3, 256)."""
    tables = torch.empty(*images.shape[:2], 256, dtype=torch.uint8, device=images.device)
    for name in TABLES:
        which, draws = draw.of(name)
        if not len(which):
            continue
        which = to_device_of(which, images)
        if name == "AutoContrast":
            table = colour.autocontrast_tables(images[which])
        elif name == "Equalize":
            table = colour.equalize_tables(images[which])
        elif name == "ContrastIncreasing":
            table = colour.contrast_tables(images[which], _enhance(draws))
        elif name == "BrightnessIncreasing":
            table = colour.brightness_tables(images[which], _enhance(draws))
        else:
            table = to_device_of(_magnitude_tables(name, draws.magnitude), images)
        tables[which] = table.expand(-1, images.shape[1], -1)
    return tables


def _magnitude_tables(name: str, magnitude: Tensor) -> Tensor:
    """Return tables that depend on the magnitude alone: (N, 1, 256). Their arguments are whole numbers."""
    level = colour.levels(magnitude)
    strength = (magnitude / LARGEST)[:, None, None]
    if name == "Invert":
        return (255 - level).expand(len(magnitude), -1, -1).to(torch.uint8)
    if name == "PosterizeIncreasing":  # keeps 4..0 bits; 0 leaves black
        step = 2 ** (8 - (4 - (strength * 4).floor()))
        return (level.double() / step).floor().mul(step).to(torch.uint8)
    if name == "SolarizeIncreasing":
        threshold = 256 - (strength * 256).floor()
        return torch.where(level < threshold, level, 255 - level).to(torch.uint8)
    added = (level + (strength * 110).floor()).clamp(max=255)  # SolarizeAdd
    return torch.where(level < 128, added, level.double()).to(torch.uint8)


def _enhance(draw: Draw) -> Tensor:
    """Return factors (N,): 1 does not change the picture, 0 and 2 are the extremes."""
    return (1 + draw.sign * draw.magnitude / LARGEST * ENHANCE).clamp(min=0.1)
