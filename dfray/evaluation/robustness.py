"""Drops of AUC under post-processing: the faces of the split, scored again at every strength.

Each actor reads its rows once, and changes and scores them at every strength. Only sums of scores leave it,
so the cost is that of the network, and memory does not grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.score import FaceScorer, collect, on_actors
from dfray.faces.crop_codec import decode_images
from dfray.post_processing import POST_PROCESSINGS, post_process
from dfray.tables import FAKE, REAL

if TYPE_CHECKING:
    from dfray.config import EvaluationSection
    from dfray.faces.shards import FacesStore
    from dfray.models.bundle import Bundle

SUMS = pa.schema(
    {
        "video_id": pa.string(),
        "kind": pa.string(),
        "strength": pa.float64(),
        "sum": pa.float64(),
        "n_faces": pa.int64(),
    }
)
"""Fake probabilities of some faces of a video, summed, at one strength of one kind."""


@dataclass(frozen=True)
class PostProcessingDrop:
    """Video-level AUC under one kind of post-processing.

    Attributes:
        unit: description of the strengths' values.
        clean: AUC without it.
        aucs: AUC at each of the strengths, from mild to harsh.
    """

    kind: str
    unit: str
    clean: float
    strengths: tuple[float, ...]
    aucs: tuple[float, ...]

    @property
    def drops(self) -> list[float]:
        return [self.clean - auc for auc in self.aucs]


def measure_drops(
    faces: FacesStore, bundle_uri: str, videos: pa.Table, section: EvaluationSection
) -> list[PostProcessingDrop]:
    """Return the drop of AUC for every kind in `section.post_processing`, on the connected Ray cluster.

    A video's score is the mean over all its faces here, for either video rule.

    Args:
        videos: VIDEO_SCORES of `section.split`, for the labels; the clean AUC is measured again.

    Raises:
        UserError, EvaluationError: as `score_faces` and `collect_scores`.
    """
    kinds = tuple(dict.fromkeys(section.post_processing))
    plan = on_actors(PostProcessedScorer, faces, bundle_uri, section.split, section, kinds=kinds)
    return auc_drops(collect(plan), videos, kinds)


def auc_drops(sums: pa.Table, videos: pa.Table, kinds: Sequence[str]) -> list[PostProcessingDrop]:
    """Return the drops from SUMS, added up for each video; [] if a class is missing."""
    scored = videos.filter(is_scored(videos))
    label_of = dict(zip(scored["video_id"].to_pylist(), scored["label"].to_pylist(), strict=True))
    if set(label_of.values()) != {REAL, FAKE}:
        return []
    total = sums.group_by(["video_id", "kind", "strength"]).aggregate(
        [("sum", "sum"), ("n_faces", "sum")]
    )
    mean = pc.divide(total["sum_sum"], pc.cast(total["n_faces_sum"], pa.float64()))
    keys = zip(*(total[c].to_pylist() for c in ("kind", "strength", "video_id")), strict=True)
    score = dict(zip(keys, mean.to_pylist(), strict=True))

    def auc(kind: str, strength: float) -> float:
        from sklearn.metrics import roc_auc_score

        values = [score[kind, strength, video] for video in label_of]
        return float(roc_auc_score(list(label_of.values()), values))

    clean = auc("", 0.0)
    return [
        PostProcessingDrop(
            kind,
            POST_PROCESSINGS[kind].unit,
            clean,
            POST_PROCESSINGS[kind].strengths,
            tuple(auc(kind, strength) for strength in POST_PROCESSINGS[kind].strengths),
        )
        for kind in kinds
    ]


class PostProcessedScorer(FaceScorer):
    """Ray actor that yields SUMS of the faces of one task, clean and at every strength of `kinds`."""

    def __init__(self, bundle_uri: str, batch_size: int, kinds: Sequence[str]) -> None:
        super().__init__(bundle_uri, batch_size)
        self.kinds = kinds

    def __call__(self, tasks: pa.Table) -> Iterator[pa.Table]:
        for task in tasks.to_pylist():
            faces = self.read(task)
            yield sums_of(self.bundle, faces, self.kinds, self.batch_size)


def sums_of(bundle: Bundle, faces: pa.Table, kinds: Sequence[str], batch_size: int) -> pa.Table:
    """Return SUMS of rows of FACES, clean (kind "", strength 0) and at every strength of `kinds`.

    Raises:
        SchemaError: a crop is not what its row says.
    """
    images = np.require(decode_images(faces), requirements="W")
    videos = faces["video_id"].to_pylist()
    device = str(bundle.preprocess.mean.device)
    names, of_video = np.unique(videos, return_inverse=True)
    counts = np.bincount(of_video)
    tables = []
    for kind, strength in [
        ("", 0.0),
        *((k, s) for k in kinds for s in POST_PROCESSINGS[k].strengths),
    ]:
        changed = post_process(kind, strength, images, videos, device) if kind else images
        probabilities, _ = bundle.predict(changed, batch_size=batch_size)
        tables.append(
            pa.table(
                {
                    "video_id": names.tolist(),
                    "kind": [kind] * len(names),
                    "strength": [float(strength)] * len(names),
                    "sum": np.bincount(of_video, weights=probabilities),
                    "n_faces": counts,
                },
                schema=SUMS,
            )
        )
    return pa.concat_tables(tables)
