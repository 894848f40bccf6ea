"""Batches of faces, self-blending and augmentation."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dfray.config.degrade import DegradeSection
from dfray.config.section import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Quality,
    Section,
    Unit,
    Younger,
)

_RANDAUGMENT_OPTION = r"m(\d|10)|mstd\d{1,2}(\.\d+)?|n\d|p(0?\.\d+|[01])|inc1"


class PairShiftSection(Section):
    """Colour shift that both views of a self-blended pair get alike, after blending.

    Of the public code of arXiv 2204.08376, whose shift of hue, saturation and value is below a level.
    """

    probability: Fraction = Field(0.3, description="probability of each of the two shifts")
    rgb: Fraction = Field(
        0.08, description="largest shift of red, green and blue, as a share of their range"
    )
    brightness: Fraction = Field(
        0.3, description="largest shift of all levels, as a share of their range"
    )
    contrast: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3, description="largest change of the levels' scale: factor 1 +- this"
    )


class SelfBlendSection(Section):
    """Self-blended images (arXiv 2204.08376 section 3); the paper does not state all ranges."""

    rgb: Fraction = Field(
        0.05, description="largest shift of red, green and blue, as a share of their range"
    )
    hue: Annotated[Fraction, Unit("turns")] = Field(0.02, description="largest shift of the hue")
    saturation: Fraction = Field(0.08, description="largest shift of the saturation")
    value: Fraction = Field(0.06, description="largest shift of the value")
    brightness: Fraction = Field(
        0.1, description="largest change of one view's brightness: factor 1 +- this"
    )
    contrast: Fraction = Field(
        0.1, description="largest change of one view's contrast: factor 1 +- this"
    )
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="largest change of the source's width and height: factor 1 +- this"
    )
    shift: Annotated[Fraction, Unit("sides")] = Field(
        0.03, description="largest shift of the source, in sides of the picture"
    )
    deform: Fraction = Field(
        0.06,
        description="largest move of 4 x 4 points of the mask, as a share of the face's extent",
    )
    elastic: Fraction = Field(
        0.03, description="largest move of 8 x 8 points of the mask: elastic deformation"
    )
    ratios: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.0, 1.0),
        description="strengths of the mask, drawn with equal probability",
    )
    pair_shift: Annotated[PairShiftSection | None, Younger()] = Field(
        None,
        description="colour shift of both views alike, in training only; {}: as the authors' code has it; "
        "null: off",
    )


class BatchesSection(Section):
    """Batches of faces."""

    batch_size: Annotated[Count, Unit("faces")] = Field(
        64, description="global batch: faces per optimizer step, over all workers together"
    )
    sampling: Literal["balanced", "all"] = Field(
        "balanced",
        description="faces of an epoch; balanced: as arXiv 2508.19730 section 4.1; all: every face",
    )
    pairing: Annotated[Literal["source"] | None, Younger()] = Field(
        None,
        description="source: each fake face shares its batch with a face of the video it was made from, at "
        "about the same moment (after arXiv 2508.06248); videos without such a partner fill the rest; "
        "a streamed first epoch is not paired; null: off",
    )
    labels: Literal["binary", "category", "dataset"] = Field(
        "binary",
        description="classes to train on (arXiv 2508.19730 section 3.4); binary: real and fake; category: "
        "real, face swap and re-enactment (talking faces too); dataset: real, and the fakes of each dataset",
    )
    stream_first_epoch: bool = Field(
        False, description="train the first epoch on faces while they are extracted"
    )
    shuffle_faces: Annotated[Count, Unit("faces")] = Field(
        2048, description="size of each worker's shuffle buffer"
    )
    self_blend: SelfBlendSection | None = Field(
        None,
        description="train on real faces and their self-blended fakes only, half a batch each; "
        "needs faces.landmarks; null: off",
    )

    @property
    def in_pairs(self) -> bool:
        """True if a batch is made of pairs: of a real face and its self-blended, or paired, fake."""
        return self.self_blend is not None or self.pairing is not None

    @property
    def faces_per_step(self) -> int:
        """Faces to read per optimizer step: half a batch if each is blended into a fake too."""
        return self.batch_size // 2 if self.self_blend else self.batch_size


class AffineSection(Section):
    """Random rotation, shift and scale (torchvision's RandomAffine)."""

    degrees: Annotated[float, Field(ge=0, le=180), Unit("degrees")] = Field(
        10.0, description="largest rotation in either direction"
    )
    shift: Annotated[Fraction, Unit("sides")] = Field(
        0.1, description="largest shift in each direction, in sides of the picture"
    )
    scale: tuple[Positive, Positive] = Field(
        (0.9, 1.1), description="smallest and largest scale factor"
    )


class AugmentSection(Section):
    """Random changes of training images, drawn for each image, on the training device.

    Keys are in the order of application; FSFM's and the CLIP paper's settings are in jobs/recipes.
    """

    degrade: Annotated[DegradeSection | None, Younger()] = Field(
        None,
        description="degradations of the stored crop: screen capture, blur, resizing, noise, JPEG, "
        "H.264-like; {}: all, with the ranges below; null: off",
    )
    crop_scale: tuple[Positive, Positive] | None = Field(
        (0.8, 1.0), description="smallest and largest area of a random resized crop; null: no crop"
    )
    interpolation: Literal["bilinear", "bicubic"] = Field(
        "bilinear", description="interpolation of crops (antialiased) and of affine changes"
    )
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    affine: AffineSection | None = Field(
        None, description="random rotation, shift and scale; null: off"
    )
    randaugment: str | None = Field(
        None, description="RandAugment in timm's notation, such as rand-m9-mstd0.5-inc1; null: off"
    )
    blur: Fraction = Field(0.0, description="probability of a Gaussian blur, sigma 0.1 to 2 px")
    brightness: Fraction = Field(
        0.1, description="largest change of the brightness: factor 1 +- this"
    )
    contrast: Fraction = Field(0.1, description="largest change of the contrast: factor 1 +- this")
    jpeg: Fraction = Field(0.0, description="probability of JPEG compression")
    jpeg_quality: tuple[Quality, Quality] = Field(
        (40, 100), description="lowest and highest JPEG quality, on libjpeg's scale"
    )
    erasing: Fraction = Field(0.0, description="probability of random erasing with noise")
    mixup: NotNegative = Field(
        0.0, description="alpha of mixup's beta distribution (FSFM's code: 0.8); 0: off"
    )
    cutmix: NotNegative = Field(
        0.0, description="alpha of cutmix's beta distribution (FSFM's code: 1.0); 0: off"
    )

    @property
    def mixes(self) -> bool:
        """True if labels become soft."""
        return self.mixup > 0 or self.cutmix > 0

    @field_validator("randaugment")
    @classmethod
    def _is_known(cls, text: str | None) -> str | None:
        if text is None:
            return None
        head, *options = text.split("-")
        is_valid = all(re.fullmatch(_RANDAUGMENT_OPTION, option) for option in options)
        if head != "rand" or not is_valid or "inc1" not in options:
            raise ValueError(
                f"{text!r} is not of the form rand-m9-mstd0.5-inc1: m (magnitude, 0-10), mstd (its "
                "deviation), n (layers), p (probability of each) and inc1 are supported"
            )
        return text

    @model_validator(mode="after")
    def _ranges_ascend(self) -> AugmentSection:
        for name in ("crop_scale", "jpeg_quality"):
            bounds = getattr(self, name)
            if bounds and bounds[0] > bounds[1]:
                raise ValueError(f"{name} {list(bounds)}: the first is the larger")
        if self.crop_scale and self.crop_scale[1] > 1:
            raise ValueError(
                f"crop_scale {list(self.crop_scale)}: a crop is at most the picture, 1"
            )
        return self
