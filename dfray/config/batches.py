"""How faces become batches, and how batches are changed in training."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dfray.config.section import Count, Fraction, NotNegative, Positive, Quality, Section

_RANDAUGMENT_PART = r"m(\d|10)|mstd\d{1,2}(\.\d+)?|n\d|p(0?\.\d+|[01])|inc1"


class SelfBlendSection(Section):
    """Self-blended images (arXiv 2204.08376 section 3); ranges that the paper does not name are ours."""

    rgb: Fraction = Field(0.05, description="largest shift of red, green and blue")
    hue: Fraction = Field(0.02, description="largest shift of the hue, turns")
    saturation: Fraction = Field(0.08, description="largest shift of the saturation")
    value: Fraction = Field(0.06, description="largest shift of the value")
    brightness: Fraction = Field(0.1, description="brightness of one view: 1 +- this")
    contrast: Fraction = Field(0.1, description="contrast of one view: 1 +- this")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="width and height of the source: 1 +- this"
    )
    shift: Fraction = Field(
        0.03, description="largest shift of the source, in sides of the picture"
    )
    deform: Fraction = Field(
        0.06, description="largest move of 4 x 4 points of the mask, over the face's extent"
    )
    elastic: Fraction = Field(0.03, description="the same of 8 x 8 points: elastic deformation")
    ratios: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.0, 1.0), description="the mask's strength, each as likely"
    )


class BatchesSection(Section):
    """How faces become batches."""

    batch_size: Count = Field(64, description="faces per optimizer step over all workers together")
    sampling: Literal["balanced", "all"] = Field(
        "balanced", description="balanced: arXiv 2508.19730 section 4.1; all: every face"
    )
    labels: Literal["binary", "category", "dataset"] = Field(
        "binary",
        description="classes to learn: real and fake; real, FS and RE; or real and the fakes of "
        "each dataset (arXiv 2508.19730 section 3.4)",
    )
    stream_first_epoch: bool = Field(
        False, description="feed the first epoch from the running extraction"
    )
    shuffle_faces: Count = Field(2048, description="faces in the shuffle buffer of each worker")
    self_blend: SelfBlendSection | None = Field(
        None,
        description="train on real faces and their self-blended fakes alone, half a batch each; "
        "needs faces.landmarks",
    )

    @property
    def faces_per_step(self) -> int:
        """Faces to read for an optimizer step: half a batch if each brings its own fake."""
        return self.batch_size // 2 if self.self_blend else self.batch_size


class AffineSection(Section):
    """A random turn, shift and scale (torchvision's RandomAffine)."""

    degrees: Annotated[float, Field(ge=0, le=180)] = Field(10.0, description="turn, either way")
    shift: Fraction = Field(0.1, description="each way, in fractions of the side")
    scale: tuple[Positive, Positive] = (0.9, 1.1)


class AugmentSection(Section):
    """Random changes to training batches, drawn for each image, on the training device.

    In the order of their application; FSFM's and the CLIP paper's settings are in jobs/recipes.
    """

    crop_scale: tuple[Positive, Positive] | None = Field(
        (0.8, 1.0), description="random resized crop: area range; none: no random crop"
    )
    interpolation: Literal["bilinear", "bicubic"] = Field(
        "bilinear", description="of crops (antialiased) and of affine changes"
    )
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    affine: AffineSection | None = Field(None, description="turn, shift and scale; none: off")
    randaugment: str | None = Field(
        None, description="timm's notation, such as rand-m9-mstd0.5-inc1; none: off"
    )
    blur: Fraction = Field(0.0, description="probability of a Gaussian blur, sigma 0.1 to 2 px")
    brightness: Fraction = 0.1
    contrast: Fraction = 0.1
    jpeg: Fraction = Field(0.0, description="probability of JPEG compression")
    jpeg_quality: tuple[Quality, Quality] = Field((40, 100), description="range, libjpeg's scale")
    erasing: Fraction = Field(0.0, description="probability of random erasing with noise")
    mixup: NotNegative = Field(0.0, description="alpha of mixup (FSFM's code: 0.8); 0: off")
    cutmix: NotNegative = Field(0.0, description="alpha of cutmix (FSFM's code: 1.0); 0: off")

    @property
    def mixes(self) -> bool:
        """Whether labels become soft."""
        return self.mixup > 0 or self.cutmix > 0

    @field_validator("randaugment")
    @classmethod
    def _is_known(cls, text: str | None) -> str | None:
        if text is None:
            return None
        head, *parts = text.split("-")
        known = all(re.fullmatch(_RANDAUGMENT_PART, part) for part in parts)
        if head != "rand" or not known or "inc1" not in parts:
            raise ValueError(
                f"{text!r} is not of the form rand-m9-mstd0.5-inc1: m (magnitude, 0-10), mstd (its "
                "deviation), n (layers), p (probability of each) and inc1 are understood"
            )
        return text

    @model_validator(mode="after")
    def _ranges_ascend(self) -> AugmentSection:
        for name in ("crop_scale", "jpeg_quality"):
            found = getattr(self, name)
            if found and found[0] > found[1]:
                raise ValueError(f"{name} {list(found)}: the first is the larger")
        if self.crop_scale and self.crop_scale[1] > 1:
            raise ValueError(
                f"crop_scale {list(self.crop_scale)}: a crop is at most the picture, 1"
            )
        return self
