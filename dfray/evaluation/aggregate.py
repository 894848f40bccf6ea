"""From face scores to one row per video, and to one score per frame.

A video's score is the mean over all its faces (arXiv 2508.19730 section 4.3), or by option the highest
mean of a person in it; a frame's is the mean over the faces in it. A video without a face keeps its row,
with the reason and no score: it is counted, never guessed.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.errors import EvaluationError
from dfray.tables import SCORES, SUMMARIES, Column, TableSpec

_VIDEO_COLUMNS = ("video_id", "dataset", "split", "label", "category", "method")

VIDEO_SCORES = TableSpec(
    "video scores",
    (
        *(column for column in SUMMARIES.columns if column.name in _VIDEO_COLUMNS),
        Column("status", pa.string(), "how its extraction ended: see SUMMARIES; or not_extracted"),
        Column("reason", pa.string(), "why the video has no score", True),
        Column("n_faces", pa.int32(), "faces that were scored"),
        Column("fake_probability", pa.float64(), "by the video rule, 0..1; null: no score", True),
    ),
)

_MEASURED_COLUMNS = ["video_id", "fake_probability", "n_faces"]

ROUNDING = 1e-5
"""How far a sum of float32 probabilities may leave 0..1."""


MIN_FACES = 3
"""A person seen less often does not decide over a video in which another is seen more often."""


NOT_EXTRACTED = "not_extracted"
"""Status of a video that the manifest lists and whose extraction was never tried."""


def video_scores(
    scores: pa.Table,
    summaries: pa.Table,
    persons: np.ndarray | None = None,
    unextracted: pa.Table | None = None,
) -> pa.Table:
    """One row per video of `summaries` and `unextracted`, in the order of video ids.

    Args:
        scores: SCORES of every face of these videos.
        summaries: SUMMARIES of the split that was scored.
        persons: int (N,), who is seen in each face, as `tracks.track_persons` gives it for the scores in
            the order of video, frame and face. With it a video's score is the highest mean of a person
            (of at least MIN_FACES faces, if there is one); without it the mean over all faces.
        unextracted: videos of the split that were never extracted, as `FacesView.unextracted` gives them.

    Returns:
        VIDEO_SCORES; a video with no face has a null score and a reason.

    Raises:
        EvaluationError: a probability is no number in 0..1, or the faces scored are not those that
            the summaries count.
    """
    scores = check_scores(scores)
    means = _mean_of_faces(scores) if persons is None else _highest_person(scores, persons)
    scored = {
        video: (score, n_faces)
        for video, score, n_faces in zip(
            *(means[c].to_pylist() for c in _MEASURED_COLUMNS), strict=True
        )
    }
    rows = []
    for row in SUMMARIES.conform(summaries, "summaries").sort_by("video_id").to_pylist():
        mean, n_scored = scored.pop(row["video_id"], (None, 0))
        if n_scored != row["n_faces"]:
            raise EvaluationError(
                f"{row['video_id']}: {n_scored} face(s) scored, {row['n_faces']} extracted.",
                "Score the faces again, all of them, and no face twice.",
            )
        reason = None if n_scored else row["reason"] or f"no face in {row['n_frames']} frame(s)"
        rows.append(row | {"fake_probability": mean, "reason": reason})
    if scored:
        raise EvaluationError(
            f"{len(scored)} scored video(s) are not in the summaries, such as {min(scored)}.",
            "Score the split that the summaries are of.",
        )
    for row in unextracted.to_pylist() if unextracted else []:
        reason = "its faces were never extracted"
        rows.append(row | {"status": NOT_EXTRACTED, "reason": reason, "n_faces": 0})
    return VIDEO_SCORES.from_rows(sorted(rows, key=lambda row: row["video_id"]))


def _mean_of_faces(scores: pa.Table) -> pa.Table:
    """_MEASURED_COLUMNS of each video: the mean over all its faces."""
    means = scores.group_by("video_id", use_threads=False).aggregate(
        [("fake_probability", "mean"), ("fake_probability", "count")]
    )
    return means.rename_columns(_MEASURED_COLUMNS)


def _highest_person(scores: pa.Table, persons: np.ndarray) -> pa.Table:
    """_MEASURED_COLUMNS of each video: the highest mean of a person seen often enough."""
    names, starts = np.unique(np.asarray(scores["video_id"].to_pylist(), str), return_index=True)
    values = np.split(scores["fake_probability"].to_numpy(), starts[1:])
    highest = [
        highest_person(of_video, who)
        for of_video, who in zip(values, np.split(persons, starts[1:]), strict=True)
        if len(of_video)
    ]
    counts = [len(of_video) for of_video in values if len(of_video)]
    return pa.table(
        [pa.array(names.tolist(), pa.string()), highest, counts], names=_MEASURED_COLUMNS
    )


def highest_person(probabilities: np.ndarray, persons: np.ndarray) -> float:
    """The score of one video: the highest mean of a person seen in MIN_FACES faces, if there is one.

    Args:
        probabilities: float (N,), of its faces, N >= 1.
        persons: int (N,), who is seen in each, 0, 1, ...
    """
    counts = np.bincount(persons)
    means = np.bincount(persons, weights=probabilities) / np.maximum(counts, 1)
    often = counts >= MIN_FACES
    return float(means[often if often.any() else counts > 0].max())


def frame_scores(scores: pa.Table) -> pa.Table:
    """One row per frame with a face: video_id, frame_index, fake_probability (mean over faces)."""
    means = scores.group_by(["video_id", "frame_index"], use_threads=False).aggregate(
        [("fake_probability", "mean")]
    )
    return means.rename_columns(["video_id", "frame_index", "fake_probability"])


def check_scores(scores: pa.Table) -> pa.Table:
    """SCORES with every probability a number in 0..1, in the order of video, frame and face.

    Raises:
        EvaluationError: one is not; the message names its video and frame.
    """
    scores = SCORES.conform(scores, "scores").sort_by(
        [("video_id", "ascending"), ("frame_index", "ascending"), ("face_index", "ascending")]
    )
    values = scores.column("fake_probability").to_numpy()
    bad = np.flatnonzero(~((values >= -ROUNDING) & (values <= 1 + ROUNDING)))
    if len(bad):
        row = scores.select(["video_id", "frame_index"]).slice(int(bad[0]), 1).to_pylist()[0]
        raise EvaluationError(
            f"{len(bad)} of {len(values)} fake probabilities are no number in 0..1: "
            f"{values[bad[0]]} for {row['video_id']}, frame {row['frame_index']}.",
            "The model's weights or its input are not finite; look at the training curves.",
        )
    return scores


def is_scored(videos: pa.Table) -> np.ndarray:
    """Return a bool (N,) mask of the rows of VIDEO_SCORES that have a score."""
    mask: np.ndarray = pc.is_valid(videos.column("fake_probability")).to_numpy(zero_copy_only=False)
    return mask
