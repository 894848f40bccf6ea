"""Audit of the videos of one run, and of their faces as far as they are stored."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dfray.audit.equal import EqualVideos
from dfray.audit.equal_faces import equal_faces, without_digest
from dfray.audit.equal_files import equal_files
from dfray.audit.metadata_probe import ProbeResult, probe_metadata
from dfray.audit.near_duplicates import near_duplicates
from dfray.audit.people import shared_people
from dfray.audit.result import Audit
from dfray.config import Recipe
from dfray.evaluation.copies import Copies
from dfray.evaluation.properties import video_properties
from dfray.evaluation.strata import StratifiedAuc
from dfray.faces.shards import FacesStore, read_boxes
from dfray.tables import SPLITS


def audit_videos(
    recipe: Recipe,
    videos: pa.Table,
    faces: FacesStore,
    strata: Sequence[StratifiedAuc] = (),
    *,
    compare_files: bool = True,
) -> Audit:
    """Return the audit of VIDEOS.

    Args:
        faces: of these videos.
        strata: of the model's evaluation.
        compare_files: those of equal size are opened; else equal files are told by their faces.

    Raises:
        StorageError: files of equal size, or stored faces, cannot be read, or a disk hangs.
    """
    summaries = faces.summaries()
    files = equal_files(videos, recipe.faces.stall_limit_s) if compare_files else None
    return Audit(
        files=None if files is None else tuple(files),
        faces=tuple(_further(equal_faces(summaries), files or [])),
        near=near_duplicates(summaries),
        people=tuple(shared_people(videos, recipe.corpora)),
        probe=tuple(_probe(recipe, videos, faces, summaries)),
        strata=tuple(strata),
        n_videos=videos.num_rows,
        n_extracted=summaries.num_rows,
        n_without_prints=without_digest(summaries),
    )


def _further(faces: list[EqualVideos], files: list[EqualVideos]) -> list[EqualVideos]:
    """Return the groups of equal faces that are not groups of equal files."""
    known = [{member.video_id for member in group.members} for group in files]
    return [
        group
        for group in faces
        if not any({member.video_id for member in group.members} <= same for same in known)
    ]


def _probe(
    recipe: Recipe, videos: pa.Table, faces: FacesStore, summaries: pa.Table
) -> list[ProbeResult]:
    """Return the probe of metadata, of datasets with faces in the test."""
    if "test" not in summaries.filter(pc.greater(summaries["n_faces"], 0))["split"].to_pylist():
        return []
    boxes = pa.concat_tables([read_boxes(faces, split) for split in SPLITS])
    columns = (videos[name].to_pylist() for name in ("video_id", "duration_s"))
    durations = {video: length for video, length in zip(*columns, strict=True) if length}
    is_copy = pc.is_in(summaries["video_id"], pa.array(_copies(summaries), pa.string()))
    distinct = summaries.filter(pc.invert(is_copy))
    return probe_metadata(
        video_properties(distinct, boxes, recipe.faces.rate_fps, durations),
        confidence=recipe.evaluation.confidence,
        min_per_class=recipe.evaluation.min_per_class,
        seed=recipe.seed,
    )


def _copies(summaries: pa.Table) -> set[str]:
    """Return the videos that another one of their dataset and split is equal to."""
    of_splits = (summaries.filter(pc.equal(summaries["split"], split)) for split in SPLITS)
    return set().union(*(Copies.of(videos).of_dataset for videos in of_splits))
