"""Augmentation pipeline: all changes in their order, from stored crops to the backbone's input in training.

Pixels stay on 256 levels until they are normalised, as they do in Pillow and in `Preprocess`, and every
change touches only the images that drew it. Degradations come first: they happen to the published picture,
before it is cropped or turned, and post-processing is measured at the size of stored crops, too.
Self-blending comes before them, as forging comes before publishing.

Scoring uses the full stored crop, resized if necessary: the margin was cut at extraction (FSFM's evaluation
resizes to 256 and crops the middle 224).

To add a change: a function in a module of this folder, its call in `levels`, its key in AugmentSection
(dfray/config/batches.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfray.batches.augment import colour, crop, jpeg, randaugment
from dfray.batches.augment.degrade import degrade
from dfray.batches.augment.draws import draw_indices, integers, to_device_of
from dfray.batches.augment.erase import erase
from dfray.batches.augment.warp import random_affine
from dfray.config import AugmentSection
from dfray.models.preprocess import Preprocess


class Augment(nn.Module):
    """Augmented input, as `Preprocess` in scoring: uint8 (B, 3, H, H) -> normalised float32 (B, 3, S, S)."""

    def __init__(self, section: AugmentSection, preprocess: Preprocess) -> None:
        super().__init__()
        self.section, self.preprocess = section, preprocess
        self.policy = randaugment.Policy.parse(section.randaugment) if section.randaugment else None
        # timm fills with the mean; known on the host, so that no step waits for the device
        self.fill = (255 * preprocess.mean.flatten().cpu()).round().clamp(max=255)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Augment and normalise; random numbers come from torch's global generators."""
        images = self.levels(images)
        images = self.preprocess.normalise_levels(images)
        return erase(images, self.section.erasing)

    def levels(self, images: Tensor) -> Tensor:
        """Apply all changes but erasing: uint8 (B, 3, H, H) -> uint8 (B, 3, S, S)."""
        section, size = self.section, self.preprocess.size_px
        if section.degrade:
            images = degrade(images, section.degrade)
        if section.crop_scale or images.shape[-1] != size:
            boxes = crop.draw_crops(len(images), images.shape[-1], section.crop_scale)
            images = crop.resized_crop(images, boxes, size, section.interpolation)
        images = crop.flip(images, section.flip)
        if section.affine:
            images = random_affine(images, section.affine, section.interpolation)
        if self.policy:
            for draw in self.policy.draw(len(images)):
                images = randaugment.apply(images, draw, self.fill, section.interpolation)
        if section.blur:
            images = colour.blur(images, section.blur)
        images = colour.relight(images, section.brightness, section.contrast)
        return self._compressed(images) if section.jpeg else images

    def _compressed(self, images: Tensor) -> Tensor:
        which = draw_indices(len(images), self.section.jpeg)
        if not len(which):
            return images
        low, high = self.section.jpeg_quality
        quality = integers(low, torch.full_like(which, high))
        which = to_device_of(which, images)
        return images.index_copy(0, which, jpeg.compress(images[which], quality))
