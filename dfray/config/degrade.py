"""Degradations of training images: what happens to a picture after publication."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dfray.config.section import Fraction, Quality, Section, Unit

Scale = Annotated[float, Field(gt=0, le=1)]
Sigma = Annotated[float, Field(gt=0, le=50)]
Noise = Annotated[float, Field(ge=0, le=255)]
Passes = Annotated[int, Field(ge=1, le=5)]
Crf = Annotated[int, Field(ge=0, le=51)]
Gamma = Annotated[float, Field(gt=0, le=5)]
Fringes = Annotated[float, Field(gt=0, le=500)]


class _Degradation(Section):
    """One degradation: its probability, and ranges from which each image draws uniformly."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> _Degradation:
        for name in type(self).model_fields:
            bounds = getattr(self, name)
            if isinstance(bounds, tuple) and bounds[0] > bounds[1]:
                raise ValueError(f"{name} {list(bounds)}: the first is the larger")
        return self


class ScreenSection(_Degradation):
    """A capture of a screen by a camera; a stand-in with interference of the grids, perspective and gamma."""

    probability: Fraction = Field(0.03, description="probability of a screen capture")
    moire: tuple[Fraction, Fraction] = Field(
        (0.02, 0.15), description="range of the interference's amplitude, as a share of the light"
    )
    fringes: Annotated[tuple[Fringes, Fringes], Unit("per side")] = Field(
        (2.0, 40.0), description="range of the interference's periods across the picture"
    )
    gamma: tuple[Gamma, Gamma] = Field(
        (0.8, 1.25), description="range of the exponent on the levels, as shares of white"
    )
    tilt: Annotated[float, Field(ge=0, le=0.25)] = Field(
        0.04,
        description="largest perspective per axis; the picture's far edge shrinks by twice this",
    )


class BlurSection(_Degradation):
    """Gaussian blur, in the unit of the post-processing `blur`."""

    probability: Fraction = Field(0.1, description="probability of a blur")
    sigma: Annotated[tuple[Sigma, Sigma], Unit("px")] = Field(
        (0.3, 5.0), description="range of the Gaussian's deviation"
    )


class ResizeSection(_Degradation):
    """Resizing down and up again, in the unit of the post-processing `resize`."""

    probability: Fraction = Field(0.1, description="probability of resizing down and up again")
    scale: tuple[Scale, Scale] = Field(
        (0.125, 0.9), description="range of the scale, as a share of the side"
    )


class NoiseSection(_Degradation):
    """Gaussian noise, in the unit of the post-processing `noise`."""

    probability: Fraction = Field(0.1, description="probability of noise")
    sigma: Annotated[tuple[Noise, Noise], Unit("levels")] = Field(
        (1.0, 40.0), description="range of the noise's deviation"
    )


class JpegSection(_Degradation):
    """JPEG compression, once or several times, in the unit of the post-processing `jpeg`."""

    probability: Fraction = Field(0.1, description="probability of JPEG compression")
    quality: tuple[Quality, Quality] = Field(
        (10, 95), description="range of the quality on libjpeg's scale, drawn for each pass"
    )
    passes: tuple[Passes, Passes] = Field((1, 2), description="range of compressions in a row")


class H264LikeSection(_Degradation):
    """A stand-in for one picture of H.264 video, in the unit of the post-processing `h264`."""

    probability: Fraction = Field(0.1, description="probability of an H.264-like compression")
    crf: tuple[Crf, Crf] = Field((18, 40), description="range of x264's constant rate factor")


class DegradeSection(Section):
    """Degradations of training images, each with its probability and ranges; null turns one off.

    Keys are in the fixed order of application: capture and optics, scale, the sensor's noise, compression.
    """

    order: Literal["fixed", "shuffled"] = Field(
        "fixed",
        description="fixed: the order of these keys; shuffled: each image has one of two orders that its "
        "batch draws",
    )
    screen: ScreenSection | None = Field(
        ScreenSection(), description="capture of a screen by a camera (stand-in); null: off"
    )
    blur: BlurSection | None = Field(BlurSection(), description="Gaussian blur; null: off")
    resize: ResizeSection | None = Field(
        ResizeSection(), description="resizing down and up again; null: off"
    )
    noise: NoiseSection | None = Field(NoiseSection(), description="Gaussian noise; null: off")
    jpeg: JpegSection | None = Field(
        JpegSection(), description="JPEG compression, once or several times; null: off"
    )
    h264_like: H264LikeSection | None = Field(
        H264LikeSection(), description="stand-in for H.264 compression; null: off"
    )
