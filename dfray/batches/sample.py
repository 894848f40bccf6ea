"""Sample of an epoch: the chosen faces of one split, and where they are stored."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.batches.choice import NO_PAIRS, choose_faces
from dfray.batches.labels import BINARY, LabelScheme
from dfray.batches.pairing import HOW_TO_PAIR
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
    pairs: np.ndarray = field(default_factory=NO_PAIRS.copy)
    """int64 (P, 2), a fake face and one of its source, which share a batch: indices of the sample"""

    def __len__(self) -> int:
        return len(self.row)


def sample_faces(
    summaries: pa.Table, split: str, section: BatchesSection, classes: LabelScheme = BINARY
) -> Sample:
    """Sample the faces of `split` from SUMMARIES; with `self_blend`, of real videos with landmarks.

    The balance is of real and fake, for every scheme of labels.

    Args:
        classes: of the sample's labels.

    Raises:
        ManifestError: the split has no face, only real or only fake ones, or a video of no class; with
            `self_blend`, it has no real face with landmarks; with `pairing`, no pair.
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
    choice = choose_faces(table, available, split, section)
    if section.pairing and split == "train" and not len(choice.pairs):
        raise ManifestError(
            "batches.pairing: no fake video of split train with a face has the video it was made from in it, "
            "with one.",
            HOW_TO_PAIR,
        )
    dataset = np.asarray(table["dataset"].to_pylist())
    encoded = table["shard"].combine_chunks().dictionary_encode()
    return Sample(
        shards=encoded.dictionary.to_pylist(),
        shard=encoded.indices.to_numpy().astype(np.int32)[choice.video],
        row=table["first_row"].to_numpy()[choice.video] + choice.face,
        label=classes.index(table)[choice.video],
        video=choice.video,
        dataset=np.unique(dataset, return_inverse=True)[1],
        pairs=choice.pairs,
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
