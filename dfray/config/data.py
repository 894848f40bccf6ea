"""Ray cluster, corpora, demo clips and face extraction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dfray.config.section import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Section,
    Side,
    Unit,
    Younger,
)

Split = Literal["train", "val", "test"]
Identities = Annotated[int, Field(ge=2), Unit("people")]  # a face swap takes two
Label = Annotated[
    str,
    Field(pattern=r"^!?(in\(.+\)|[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)$"),
]
Labels = Annotated[
    dict[str, Label],
    Field(description="labels of Ray's nodes: a value, !value, in(a, b) or !in(a, b)"),
]


class ClusterSection(Section):
    """Ray cluster of a run. No key changes a result, so none is part of the fingerprint."""

    address: str | None = Field(
        None,
        description="address of a running cluster, host:port of its GCS; null: start a local one",
    )
    num_cpus: Annotated[Count, Unit("CPUs")] | None = Field(
        None, description="logical CPUs of a local cluster; null: the machine's cores"
    )
    extract_workers: Annotated[Count, Unit("actors")] | None = Field(
        None,
        description="number of extraction actors; null: the CPUs that training workers do not use, less one",
    )
    object_store_mb: Annotated[Count, Unit("MiB")] | None = Field(
        None, description="shared memory of a local cluster's object store; null: Ray's default"
    )
    extract_on: Labels = Field(
        {},
        description="labels of the nodes that extract faces, such as role: cpu; empty: all nodes",
    )
    train_on: Labels = Field(
        {}, description="labels of the nodes that train, such as role: gpu; empty: all nodes"
    )
    wait_s: Annotated[NotNegative, Unit("s")] = Field(
        0.0,
        description="time that a stage waits for nodes of an autoscaling cluster; 0: fail at once",
    )


class CorpusSection(Section):
    """One corpus of the manifest."""

    reader: str = Field(
        description="reader of the corpus's layout, from `dfray manifest readers`, such as ffpp or csv"
    )
    root: str = Field(description="local path or s3:// URI of the corpus")
    dataset: str | None = Field(
        None, description="dataset's name in the manifest; null: the reader's"
    )
    compression: Literal["raw", "c23", "c40"] = Field(
        "c23", description="compression to read, for ffpp and dfd"
    )
    kind: Literal["video", "frames", "faces"] | None = Field(
        None,
        description="form of the corpus to read, for df40 and ffpp: videos, pictures to run the detector on, "
        "or face crops; null: the reader's default",
    )
    only: Annotated[list[Split], Field(min_length=1)] | None = Field(
        None, description="splits of the corpus to read; null: all"
    )
    methods: Annotated[list[str] | None, Younger(), Field(min_length=1)] = Field(
        None,
        description="methods whose fakes are read, as the manifest names them, such as [Deepfakes, "
        "FaceSwap]; null: all; real videos are read in any case",
    )
    split: Split | None = Field(
        None, description="split to put every video into; null: the corpus's own splits"
    )
    licence: str | None = Field(None, description="licence or terms of use, stored with every row")
    attributes: Annotated[list[str], Younger()] = Field(
        [],
        description="columns of the CSV by whose values error rates are given, such as age, skin_tone or "
        "language; for reader csv",
    )
    follow_links: Annotated[bool, Younger()] = Field(
        False, description="read what symbolic links out of the corpus's folder lead to"
    )


class DemoSection(Section):
    """Generated clips of talking heads; see dfray.demo."""

    train_identities: Identities = Field(20, description="people in the training split")
    val_identities: Identities = Field(5, description="people in the validation split")
    test_identities: Identities = Field(16, description="people in the test split")
    real_clips: Annotated[Count, Unit("clips")] = Field(
        2,
        description="real clips per person; as many fakes are made, alternately swapped and re-enacted",
    )
    datasets: Count = Field(
        1,
        description="datasets to divide the people among: demo for 1, else demo-1, demo-2 and so on",
    )
    duration_s: Annotated[Positive, Unit("s")] = Field(2.5, description="length of a clip")
    fps: Annotated[Count, Unit("frames/s")] = Field(12, description="frame rate of a clip")
    size_px: Annotated[int, Field(ge=64, multiple_of=2), Unit("px")] = Field(
        256, description="side of the square picture"
    )


BEFORE_KEYS = {"doubt_score": 0.0, "damaged_pictures": "use"}
"""Values that runs, stores and models without these keys of FacesSection were made with: they are younger."""


class FacesSection(Section):
    """Sampling of frames, and detection, cropping and storage of faces (arXiv 2508.19730 section 4.1)."""

    rate_fps: Annotated[Positive, Unit("frames/s")] | None = Field(
        1.0, description="sampled frames per second of video; null with faces.frames"
    )
    frames: Annotated[Count | None, Younger(), Unit("frames")] = Field(
        None,
        description="sampled frames of each video in place of rate_fps, evenly spaced by their number from "
        "the first to the last; all of a video that has fewer; null: by rate_fps",
    )
    damaged_pictures: Literal["error", "use"] = Field(
        "error",
        description="pictures of a video that lost or damaged data may have torn, up to the next clean "
        "start: decode errors, or used as they come out of the decoder",
    )
    detector: Literal["full", "short", "cascade"] = Field(
        "full",
        description="MediaPipe's face detector; full or short range, or cascade: short, then full if it "
        "detects no face",
    )
    detector_model: str | None = Field(
        None,
        description="path or URI of the detector's .tflite file; null: the one of `dfray models fetch`",
    )
    min_score: Fraction = Field(
        0.5, description="lowest confidence of a detection that counts as a face"
    )
    doubt_score: Fraction = Field(
        0.8,
        description="confidence below which the landmark model and a second look must confirm a face; from "
        "0.1 below it on, a face near it in the picture before is enough; 0: nothing is confirmed",
    )
    keep: Annotated[Literal["all", "largest"], Younger()] = Field(
        "all", description="faces of a frame to keep: all, or the one of the largest box"
    )
    align: Annotated[Literal["none", "five_points"], Younger()] = Field(
        "none",
        description="turn of the crop; none: upright squares about the detected box; five_points: eyes, nose "
        "and mouth lie where ArcFace's template has them, black outside of the picture",
    )
    margin_ratio: Positive = Field(
        1.3,
        description="side of the crop over the larger side of the detected box, or over that of the template "
        "of five_points",
    )
    size_px: Annotated[Side, Unit("px")] = Field(224, description="side of the stored crop")
    landmarks: bool = Field(
        False,
        description="store MediaPipe's 468 landmarks of each face; batches.self_blend needs them",
    )
    storage: Literal["lz4", "zstd", "jpeg"] = Field(
        "lz4", description="encoding of stored crops: lossless under lz4 or zstd, or JPEG"
    )
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = Field(
        95, description="JPEG quality with storage jpeg, on libjpeg's scale"
    )
    shard_mb: Annotated[Count, Unit("MiB")] = Field(
        256, description="size at which a shard is closed"
    )
    stall_limit_s: Annotated[Positive, Unit("s")] = Field(
        60.0, description="time without a frame after which a video counts as hung"
    )
    attempts: Count = Field(2, description="attempts at a video that kills or hangs its worker")

    @model_validator(mode="before")
    @classmethod
    def _frames_stand_in_place_of_a_rate(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("frames") is not None:
            return {"rate_fps": None, **values}
        return values

    @model_validator(mode="after")
    def _one_of_both_samples(self) -> Self:
        if self.rate_fps is not None and self.frames is not None:
            raise ValueError(
                f"rate_fps {self.rate_fps:g} and frames {self.frames} are two ways to sample: set one of "
                "them to null"
            )
        if self.rate_fps is None and self.frames is None:
            raise ValueError("one of rate_fps and frames samples the frames, and both are null")
        return self

    @classmethod
    def from_stored(cls, settings: Mapping[str, Any]) -> Self:
        """Return the settings that a store or a bundle holds; younger keys have the effect of their time."""
        return cls.model_validate(BEFORE_KEYS | dict(settings))

    def shaping(self) -> dict[str, Any]:
        """Return the settings that a face row depends on.

        All but shard size, time limit and attempts, and younger keys at their default.
        """
        others = {"shard_mb", "stall_limit_s", "attempts"} | self.unused_younger()
        return self.model_dump(exclude=others, mode="json")
