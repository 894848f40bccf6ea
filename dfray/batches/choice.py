"""Choice of an epoch's faces: balanced per dataset, spread evenly over each video's time.

The rule (arXiv 2508.19730 section 4.1, made exact here): every real face; of each fake video
min(available, k) faces with k = ceil(real faces / fake videos); so at least one of every video.
It needs only the counts of faces, so it is computed for 200,000 videos in a second, without reading a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.batches.pairing import NO_SOURCE, pair_quotas, partners, rows_of_sources
from dfray.config import BatchesSection
from dfray.tables import REAL

NO_PAIRS = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Choice:
    """Faces of videos: `face[i]` of video `video[i]`, both int64 (N,), and pairs as in `Sample`."""

    video: np.ndarray
    face: np.ndarray
    pairs: np.ndarray


def choose_faces(
    videos: pa.Table, available: np.ndarray, split: str, section: BatchesSection
) -> Choice:
    """Choose the faces of an epoch, by the number that each video has or is expected to have.

    Faces of one video are spread evenly over it. With `pairing: source` those of training are chosen in
    pairs; a face of a source may then be chosen more than once.

    Args:
        videos: those of `split`, with the columns video_id, dataset, label and source_video.
        available: int64 (V,).
    """
    dataset, label = np.asarray(videos["dataset"].to_pylist()), videos["label"].to_numpy()
    quota = quotas(dataset, label, available, section.sampling)
    if section.pairing is None or split != "train":
        return Choice(*_spread(quota, available), NO_PAIRS)
    source = rows_of_sources(videos, available)
    if section.sampling == "balanced":
        quota = pair_quotas(quota, source, available)
    quota[source[source != NO_SOURCE]] = 0  # their faces come as partners
    video, face = _spread(quota, available)
    fakes = np.flatnonzero(source[video] != NO_SOURCE)
    with_fakes = partners(video[fakes], face[fakes], source, available)
    pairs = np.stack([fakes, len(video) + np.arange(len(fakes))], axis=1)
    return Choice(
        np.concatenate([video, source[video[fakes]]]), np.concatenate([face, with_fakes]), pairs
    )


def _spread(quota: np.ndarray, available: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the video and the rank in it of `quota` faces of each video, evenly over those it has."""
    video = np.repeat(np.arange(len(quota)), quota)
    rank = np.arange(len(video)) - np.repeat(np.cumsum(quota) - quota, quota)
    return video, ((rank + 0.5) * available[video] / quota[video]).astype(np.int64)


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
