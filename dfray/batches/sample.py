"""Sample of an epoch: faces balanced per dataset, spread evenly over each video's time.

The rule (arXiv 2508.19730 section 4.1, made exact here): every real face; of each fake video
min(available, k) faces with k = ceil(real faces / fake videos); so at least one of every video.
It needs only the counts of faces, so it is computed for 200,000 videos in a second, without reading a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.batches.labels import BINARY, LabelScheme
from dfray.config import BatchesSection
from dfray.errors import ManifestError
from dfray.tables import REAL, refuse_test


@dataclass(frozen=True)
class Sample:
    """Sampled faces of one split: row `row[i]` of shard `shards[shard[i]]`, of class `label[i]`."""

    shards: list[str]
    shard: np.ndarray
    """int32 (N,), index into `shards`"""
    row: np.ndarray
    """int64 (N,), row in the shard"""
    label: np.ndarray
    """int64 (N,), class index"""
    video: np.ndarray
    """int64 (N,), faces of one video have one number"""
    dataset: np.ndarray
    """int64 (V,), the dataset of each video, by the video's number"""

    def __len__(self) -> int:
        return len(self.row)


def quotas(
    dataset: np.ndarray, label: np.ndarray, available: np.ndarray, sampling: str
) -> np.ndarray:
    """Return the number of faces to sample of each video of one split: int64 (N,).

    Args:
        dataset: (N,) names; real and fake are balanced within each.
        label: (N,), 0 real, 1 fake.
        available: (N,), faces that each video has, or is expected to have.
        sampling: "balanced" or "all".
    """
    quota = available.astype(np.int64)
    if sampling == "all":
        return quota
    for name in np.unique(dataset):
        real = (dataset == name) & (label == REAL)
        fake = (dataset == name) & (label != REAL) & (available > 0)
        if real.any() and fake.any():
            per_video = max(1, -(-int(available[real].sum()) // int(fake.sum())))
            quota[fake] = np.minimum(available[fake], per_video)
    return quota


def sample_faces(
    summaries: pa.Table, split: str, section: BatchesSection, classes: LabelScheme = BINARY
) -> Sample:
    """Sample the faces of `split` from SUMMARIES; with `self_blend`, of real videos with landmarks.

    The balance is of real and fake, for every scheme of labels.

    Args:
        classes: of the sample's labels.

    Raises:
        ManifestError: the split has no face, only real or only fake ones, or a video of no class; with
            `self_blend`, it has no real face with landmarks.
        UserError: it is the test split, which neither trains nor selects a checkpoint.
    """
    table = summaries.filter(
        pc.and_(pc.equal(summaries["split"], split), pc.greater(summaries["n_faces"], 0))
    ).sort_by("video_id")
    if section.self_blend is not None:
        table = _blendable(table, split)
    label = table["label"].to_numpy().astype(np.int64)
    if len(set(label.tolist())) < 2 and section.self_blend is None:
        content = f"only {('real', 'fake')[int(label[0])]} faces" if len(label) else "no face"
        raise ManifestError(
            f"Split {split} has {content}; training and validation need both classes.",
            "Look at `dfray manifest check` and at the extraction's counts.",
        )
    refuse_test(table, "A checkpoint")
    available = table["n_faces"].to_numpy().astype(np.int64)
    dataset = np.asarray(table["dataset"].to_pylist())
    quota = quotas(dataset, label, available, section.sampling)
    video = np.repeat(np.arange(len(quota)), quota)
    rank = np.arange(len(video)) - np.repeat(np.cumsum(quota) - quota, quota)
    spread = ((rank + 0.5) * available[video] / quota[video]).astype(np.int64)
    encoded = table["shard"].combine_chunks().dictionary_encode()
    return Sample(
        shards=encoded.dictionary.to_pylist(),
        shard=encoded.indices.to_numpy().astype(np.int32)[video],
        row=table["first_row"].to_numpy()[video] + spread,
        label=classes.index(table)[video],
        video=video,
        dataset=np.unique(dataset, return_inverse=True)[1],
    )


def _blendable(summaries: pa.Table, split: str) -> pa.Table:
    """Return the SUMMARIES of real videos with landmarks."""
    blendable = summaries.filter(
        pc.and_(pc.equal(summaries["label"], REAL), pc.greater(summaries["n_landmarks"], 0))
    )
    if blendable.num_rows == 0:
        raise ManifestError(
            f"Split {split} has no real face with landmarks to blend with itself.",
            "Extract its real videos with faces.landmarks: true.",
        )
    return blendable


def unblendable(summaries: pa.Table, split: str) -> dict[str, tuple[int, int]]:
    """Count the real faces of `split` that self-blending skips, as they have no landmarks.

    Args:
        summaries: SUMMARIES of an extraction with landmarks.

    Returns:
        dataset -> (faces without landmarks, all faces), for each dataset with such faces.
    """
    real = summaries.filter(
        pc.and_(pc.equal(summaries["split"], split), pc.equal(summaries["label"], REAL))
    )
    sums = real.group_by("dataset").aggregate([("n_landmarks", "sum"), ("n_faces", "sum")])
    return {
        row["dataset"]: (row["n_faces_sum"] - row["n_landmarks_sum"], row["n_faces_sum"])
        for row in sums.sort_by("dataset").to_pylist()
        if row["n_faces_sum"] > row["n_landmarks_sum"]
    }


def require_batch(sample: Sample, section: BatchesSection) -> None:
    """Refuse a sample that does not fill one global batch.

    Raises:
        ManifestError: it has fewer faces than a step reads.
    """
    if len(sample) < section.faces_per_step:
        raise ManifestError(
            f"The sample has {len(sample)} faces, less than a batch of {section.faces_per_step}.",
            "Choose a smaller batches.batch_size, or extract more videos.",
        )
