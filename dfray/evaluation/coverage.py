"""Outcomes of all videos and sampled frames, counted per split with their reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dfray.evaluation.aggregate import NOT_EXTRACTED
from dfray.tables import OUTCOMES, SPLITS, SUMMARIES


@dataclass(frozen=True)
class Reason:
    """Count of one reason; `kind` is the video's status or the frame's outcome."""

    kind: str
    reason: str
    count: int


@dataclass(frozen=True)
class Coverage:
    """One split: videos by status, frames by outcome, faces kept, and why things went wrong.

    Attributes:
        n_frames_doubtful: frames with a doubtful face, which was refused, whatever their outcome.
    """

    split: str
    videos: dict[str, int]
    frames: dict[str, int]
    n_frames_doubtful: int
    n_faces: int
    cpu_s: float
    reasons: list[Reason]


def count_coverage(
    summaries: pa.Table, outcomes: pa.Table, unextracted: pa.Table | None = None
) -> list[Coverage]:
    """Counts of every status, outcome and reason, one row per split that has videos.

    Args:
        summaries: SUMMARIES of all splits.
        outcomes: OUTCOMES of the same videos.
        unextracted: videos that the manifest lists beside them, with their split.
    """
    never_tried = Counter(unextracted["split"].to_pylist() if unextracted else [])
    summaries = SUMMARIES.conform(summaries, "summaries")
    split_of = dict(
        zip(
            summaries.column("video_id").to_pylist(),
            summaries.column("split").to_pylist(),
            strict=True,
        )
    )
    frames: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    reasons: dict[str, Counter[tuple[str, str]]] = {split: Counter() for split in SPLITS}
    grouped = OUTCOMES.conform(outcomes, "outcomes").group_by(["video_id", "outcome", "reason"])
    for row in grouped.aggregate([([], "count_all")]).to_pylist():
        split = split_of[row["video_id"]]
        frames[split][row["outcome"]] += row["count_all"]
        if row["reason"]:
            reasons[split][row["outcome"], row["reason"]] += row["count_all"]
    for row in summaries.select(["split", "status", "reason"]).to_pylist():
        if row["reason"]:
            reasons[row["split"]][row["status"], row["reason"]] += 1
    return [
        _coverage(split, summaries, never_tried[split], frames[split], reasons[split])
        for split in SPLITS
        if split in {*split_of.values(), *never_tried}
    ]


def coverage_of_videos(videos: pa.Table, split: str) -> Coverage:
    """Return the counts that VIDEO_SCORES tell: nothing is known of frames.

    Args:
        split: that all of them are of.
    """
    statuses = videos["status"].to_pylist()
    reasons = Counter(zip(statuses, videos["reason"].to_pylist(), strict=True)).most_common()
    return Coverage(
        split=split,
        videos=dict(Counter(statuses)),
        frames={},
        n_frames_doubtful=0,
        n_faces=sum(videos["n_faces"].to_pylist()),
        cpu_s=0.0,
        reasons=[Reason(status, reason, count) for (status, reason), count in reasons if reason],
    )


def _coverage(
    split: str,
    summaries: pa.Table,
    never_tried: int,
    frames: Counter[str],
    reasons: Counter[tuple[str, str]],
) -> Coverage:
    rows = summaries.filter(pc.equal(summaries.column("split"), split))
    return Coverage(
        split=split,
        videos=dict(
            Counter(rows.column("status").to_pylist())
            + Counter({NOT_EXTRACTED: never_tried})  # a count of 0 is left out
        ),
        frames=dict(frames),
        n_frames_doubtful=pc.sum(rows.column("n_frames_doubtful")).as_py() or 0,
        n_faces=sum(rows.column("n_faces").to_pylist()),
        cpu_s=sum(rows.column("cpu_s").to_pylist()),
        reasons=[Reason(kind, reason, count) for (kind, reason), count in reasons.most_common()],
    )
