"""Statistics of a dataset's videos, real against fake (arXiv 2508.19730 figure 3).

A detector may learn what the two labels differ in besides the forgery: length, resolution, the size or the
number of faces. So an in-the-wild test set is described before its figures are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.evaluation.report_charts import property_chart
from dfray.pages.page import Plot, plot
from dfray.tables import FAKE, OUTCOMES, REAL, SUMMARIES

MEASURES = {
    "faces_per_frame": "faces in a frame that has one",
    "length_s": "length to the last sampled frame, s",
    "resolution_px": "resolution: shorter side of the frame, px",
    "face_px": "face size: median larger side of the box, px",
}
LABELS = {REAL: "real", FAKE: "fake"}


@dataclass(frozen=True)
class Spread:
    """One measure over the videos of one label: lowest, quartiles, highest."""

    name: str
    label: str
    n: int
    quartiles: tuple[float, ...]


@dataclass(frozen=True)
class DatasetStatistics:
    dataset: str
    n_real: int
    n_fake: int
    rows: list[Spread]
    plots: list[Plot]


def describe_datasets(
    datasets: Iterable[str], summaries: pa.Table, outcomes: pa.Table, boxes: pa.Table
) -> list[DatasetStatistics]:
    """Statistics of those of `datasets` that are there.

    Args:
        summaries: SUMMARIES of the split; every video counts, with faces or without.
        outcomes: OUTCOMES of at least these videos.
        boxes: from `read_boxes` on the split.
    """
    measured = measure_videos(summaries, outcomes, boxes)
    datasets_of_rows = np.asarray(measured["dataset"].to_pylist(), str)
    return [
        _describe(name, measured.filter(pa.array(datasets_of_rows == name)))
        for name in dict.fromkeys(datasets)
        if (datasets_of_rows == name).any()
    ]


def measure_videos(summaries: pa.Table, outcomes: pa.Table, boxes: pa.Table) -> pa.Table:
    """One row per video: dataset, label and MEASURES; null where a video has no face.

    A crop that was made before (kind faces; nobody looked for keypoints in it) tells nothing of its
    frame: it has no resolution.
    """
    videos = SUMMARIES.conform(summaries, "summaries").select(
        ["video_id", "dataset", "label", "n_faces", "n_frames_with_face"]
    )
    lengths = OUTCOMES.conform(outcomes, "outcomes").group_by("video_id")
    sides = pa.table(
        {
            "video_id": boxes["video_id"],
            "resolution_px": pc.if_else(
                _is_ready_made(boxes),
                None,
                pc.min_element_wise(boxes["frame_width"], boxes["frame_height"]),
            ),
            "face_px": _larger_sides(boxes),
        }
    ).group_by("video_id")
    joined = (
        videos.join(lengths.aggregate([("time_s", "max")]), "video_id")
        .join(
            sides.aggregate([("resolution_px", "max"), ("face_px", "approximate_median")]),
            "video_id",
        )
        .sort_by("video_id")
    )
    with_face = pc.if_else(
        pc.greater(joined["n_frames_with_face"], 0), joined["n_frames_with_face"], None
    )
    return pa.table(
        {
            "dataset": joined["dataset"],
            "label": joined["label"],
            "faces_per_frame": pc.divide(pc.cast(joined["n_faces"], pa.float64()), with_face),
            "length_s": joined["time_s_max"],
            "resolution_px": pc.cast(joined["resolution_px_max"], pa.float64()),
            "face_px": joined["face_px_approximate_median"],
        }
    )


def _is_ready_made(boxes: pa.Table) -> pa.Array:
    """bool (N,), whether each face came as a crop: its keypoints are NaN (see FACES)."""
    flat = boxes["keypoints"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return pa.array(np.isnan(flat.reshape(-1, 12)).all(axis=1))


def _larger_sides(boxes: pa.Table) -> pa.Array:
    """float64 (N,), the larger side of each box."""
    flat = boxes["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return pa.array(flat.reshape(-1, 4)[:, 2:].max(axis=1).astype(np.float64))


def _describe(dataset: str, videos: pa.Table) -> DatasetStatistics:
    label = videos["label"].to_numpy()
    rows, plots = [], []
    for measure, name in MEASURES.items():
        values = videos[measure].to_numpy(zero_copy_only=False).astype(np.float64)
        by_label = {
            LABELS[kind]: values[(label == kind) & np.isfinite(values)] for kind in (REAL, FAKE)
        }
        for kind, of_kind in by_label.items():
            if len(of_kind):
                spread = tuple(float(q) for q in np.quantile(of_kind, [0, 0.25, 0.5, 0.75, 1]))
                rows.append(Spread(name, kind, len(of_kind), spread))
        caption = f"Each bar is a share of the label's videos in {dataset}."
        if any(len(of_kind) for of_kind in by_label.values()):
            title = name.partition(":")[0].partition(",")[0]
            plots.append(plot(title.capitalize(), caption, property_chart(by_label, name)))
    n_fake = int(np.sum(label == FAKE))
    return DatasetStatistics(dataset, len(label) - n_fake, n_fake, rows, plots)
