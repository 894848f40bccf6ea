"""Where Ray runs, what videos there are, and how faces are taken out of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dfray.config.section import Count, Fraction, NotNegative, Positive, Section

Split = Literal["train", "val", "test"]
Identities = Annotated[int, Field(ge=2)]  # a face swap takes two
Label = Annotated[
    str,
    Field(pattern=r"^!?(in\(.+\)|[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)$"),
]
Labels = Annotated[
    dict[str, Label],
    Field(description="labels of Ray's nodes: a value, !value, in(a, b) or !in(a, b)"),
]


class ClusterSection(Section):
    """Where Ray runs. Nothing here changes a result, so it is not part of the fingerprint."""

    address: str | None = Field(None, description="a running cluster; none starts a local one")
    num_cpus: Count | None = Field(
        None, description="logical CPUs that a local cluster declares; default: the machine's cores"
    )
    extract_workers: Count | None = Field(
        None, description="extraction actors; default: the CPUs that the trainers leave, less one"
    )
    object_store_mb: Count | None = Field(None, description="shared memory of a local cluster, MiB")
    extract_on: Labels = Field(
        {}, description="labels of the nodes that extract, such as role: cpu; none: all nodes"
    )
    train_on: Labels = Field(
        {}, description="labels of the nodes that train, such as role: gpu; none: all nodes"
    )
    wait_s: NotNegative = Field(
        0.0,
        description="where nodes come and go as work asks: how long a stage waits for those it needs, "
        "seconds; 0: it is refused at once",
    )


class CorpusSection(Section):
    """One corpus to read into the manifest."""

    reader: str = Field(description="a name in dfray.datasets.readers, such as ffpp or csv")
    root: str = Field(description="local path or s3:// of the corpus")
    dataset: str | None = Field(None, description="name in the manifest; default: the reader's")
    compression: Literal["raw", "c23", "c40"] = Field(
        "c23", description="ffpp and dfd: which encoding"
    )
    kind: Literal["video", "frames", "faces"] | None = Field(
        None,
        description="df40: read its videos, its pictures through the detector, or its pictures as "
        "face crops; default: the reader's",
    )
    only: Annotated[list[Split], Field(min_length=1)] | None = Field(
        None, description="take these of the corpus's own splits and leave the others out"
    )
    split: Split | None = Field(
        None, description="put every video that is taken here, whatever the corpus's lists say"
    )
    licence: str | None = Field(None, description="licence or terms, kept with every row")


class DemoSection(Section):
    """Generated talking heads; see dfray.demo."""

    train_identities: Identities = 20
    val_identities: Identities = 5
    test_identities: Identities = 16
    real_clips: Count = Field(
        2, description="real clips per identity; as many fakes are made, by turns FS and RE"
    )
    datasets: Count = Field(
        1, description="datasets that the people are dealt out to: demo, or demo-1, demo-2, ..."
    )
    duration_s: Positive = 2.5
    fps: Count = 12
    size_px: Annotated[int, Field(ge=64, multiple_of=2)] = Field(
        256, description="side of the square picture"
    )


class FacesSection(Section):
    """How frames are sampled and faces found, cut out and kept (arXiv 2508.19730 section 4.1)."""

    rate_fps: Positive = Field(1.0, description="sampled frames per second of video")
    detector: Literal["full", "short", "cascade"] = Field(
        "full",
        description="MediaPipe full range, short range, or short and then full if none found",
    )
    detector_model: str | None = Field(
        None, description="path or URI of the detector's .tflite, instead of the one set up"
    )
    min_score: Fraction = Field(0.5, description="detections below this confidence are not faces")
    margin_ratio: Positive = Field(1.3, description="crop side over the larger side of the box")
    size_px: Count = Field(224, description="side of the stored crop")
    landmarks: bool = Field(
        False,
        description="keep MediaPipe's 468 landmarks of each face (batches.self_blend needs them)",
    )
    storage: Literal["lz4", "zstd", "jpeg"] = Field(
        "lz4", description="lossless bytes under lz4 or zstd, or JPEG"
    )
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    shard_mb: Count = Field(256, description="a shard is closed at this size, MiB")
    stall_limit_s: Positive = Field(
        60.0, description="a video from which no frame comes for so long has hung, seconds"
    )
    attempts: Count = Field(2, description="tries of a video that kills or hangs its worker")

    def shaping(self) -> dict[str, Any]:
        """The settings that shape a face row; shard size, time limit and attempts do not."""
        return self.model_dump(exclude={"shard_mb", "stall_limit_s", "attempts"}, mode="json")
