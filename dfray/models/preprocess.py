"""Input of the backbone from stored face crops; one module in training, scoring and serving.

Pixels stay on the 256 levels they were stored with until they are normalised, so that the CPU may
resize uint8 directly (nine times as fast as float32, 224 to 112) and every device gets the same
image to within one level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.models.weights import normalisation


class Preprocess(nn.Module):
    """Resizing (antialiased, only if the sides differ) and normalisation of face crops.

    Training replaces `pixels` by dfray.batches.augment.

    Raises:
        ModelFileError: mean and std are in a file of the weights' folder that cannot be read.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, section: ModelSection) -> None:
        super().__init__()
        self.size_px = section.size_px
        mean, std = normalisation(section)
        # The bundle keeps them in its description, so they are no part of the weights.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def pixels(self, faces: Tensor) -> Tensor:
        """uint8 (B, H, H, 3) on any device -> float32 (B, 3, S, S) in 0..1.

        Raises:
            ValueError: `faces` is not a batch of square uint8 RGB crops.
        """
        images = channels_first(faces)
        if faces.shape[1] != self.size_px:
            images = _resize(images, self.size_px)
        return images.to(torch.float32).div_(255)

    def normalise(self, pixels: Tensor) -> Tensor:
        """float32 (B, 3, S, S) in 0..1 -> the same shape, less the mean, over the deviation."""
        return (pixels - self.mean).div_(self.std)

    def normalise_levels(self, images: Tensor) -> Tensor:
        """As `normalise`, of uint8 (B, 3, S, S) and with one large tensor less."""
        return torch.sub(images, self.mean, alpha=255).div_(255 * self.std)

    def forward(self, faces: Tensor) -> Tensor:
        """uint8 (B, H, H, 3) -> normalised float32 (B, 3, S, S)."""
        return self.normalise(self.pixels(faces))


def channels_first(faces: Tensor) -> Tensor:
    """uint8 (B, H, H, 3) -> a view (B, 3, H, H).

    Raises:
        ValueError: `faces` is not a batch of square uint8 RGB crops.
    """
    if faces.dtype != torch.uint8 or faces.ndim != 4 or faces.shape[3] != 3:
        raise ValueError(f"faces are uint8 (B, H, H, 3), not {faces.dtype} {tuple(faces.shape)}")
    if faces.shape[1] != faces.shape[2]:
        raise ValueError(f"faces are square crops, not {faces.shape[1]} x {faces.shape[2]} px")
    return faces.permute(0, 3, 1, 2)


def _resize(images: Tensor, size_px: int) -> Tensor:
    """(B, 3, H, H) uint8 -> (B, 3, S, S) on the same levels, bilinear with antialiasing."""
    on_cpu = images.device.type == "cpu"  # the one device whose kernel takes uint8
    source = images if on_cpu else images.to(torch.float32)
    resized = F.interpolate(source, size=(size_px, size_px), mode="bilinear", antialias=True)
    return resized if on_cpu else resized.round()
