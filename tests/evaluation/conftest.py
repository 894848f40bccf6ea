"""A scored split as extraction and scoring leave it, of any size, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from dfray.evaluation.aggregate import video_scores
from dfray.tables import OUTCOMES, SCORES, SUMMARIES

METHODS = {"real": ["source"], "FS": ["swap"], "RE": ["mouth"]}


@dataclass(eq=False)
class Scored:
    """The tables of one evaluation."""

    summaries: pa.Table
    outcomes: pa.Table
    faces: pa.Table

    @property
    def videos(self) -> pa.Table:
        return video_scores(self.faces, self.summaries)


@pytest.fixture(scope="session")
def make_scored():
    """make_scored(n_videos=20, skill=1.0, ...) -> Scored."""
    return _scored


def _scored(
    n_videos: int = 20,
    *,
    skill: float = 1.0,
    seed: int = 0,
    datasets: tuple[str, ...] = ("demo",),
    methods: dict[str, list[str]] = METHODS,
    lost: tuple[str, ...] = (),
    split: str = "test",
) -> Scored:
    """`n_videos` of each method and dataset, and one more for each status in `lost`."""
    rng = np.random.default_rng(seed)
    summaries: list[dict] = []
    outcomes: list[dict] = []
    faces: list[dict] = []
    for dataset in datasets:
        for category, names in methods.items():
            for method in names:
                for number in range(n_videos):
                    video = _video(dataset, category, method, number, split)
                    scores = _face_scores(video, skill, rng)
                    faces += scores
                    summaries.append(_summary(video, "ok", None, len(scores)))
                    outcomes += _outcomes(video, "faces", len(scores), None)
    for number, status in enumerate(lost):
        video = _video(datasets[0], "real", f"lost_{status}", number, split)
        reason = None if status == "no_face" else f"why it was {status}"
        summaries.append(_summary(video, status, reason, 0))
        if status == "no_face":
            outcomes += _outcomes(video, "no_face", 3, None)
    return Scored(
        SUMMARIES.from_rows(summaries), OUTCOMES.from_rows(outcomes), SCORES.from_rows(faces)
    )


def _video(dataset: str, category: str, method: str, number: int, split: str) -> dict:
    return {
        "video_id": f"{dataset}/{method}/{number:04d}",
        "dataset": dataset,
        "split": split,
        "label": int(category != "real"),
        "category": category,
        "method": method,
    }


def _face_scores(video: dict, skill: float, rng: np.random.Generator) -> list[dict]:
    """One to six frames, now and then with two faces in one; embeddings of eight values."""
    leaning = rng.normal() + skill * (2 * video["label"] - 1)
    direction = {"real": -1.0, "RE": 0.6}.get(video["category"], 1.0)
    rows = []
    for frame in range(rng.integers(1, 7)):
        for face in range(1 + int(rng.random() < 0.15)):
            probability = 1 / (1 + np.exp(-(leaning + 0.4 * rng.normal())))
            embedding = rng.normal(size=8)
            embedding[0] += 2 * direction * skill + leaning
            embedding[1] += 2 * (video["category"] == "RE")
            rows.append(
                video
                | {
                    "frame_index": frame,
                    "face_index": face,
                    "time_s": float(frame),
                    "fake_probability": probability,
                    "embedding": embedding,
                }
            )
    return rows


def _summary(video: dict, status: str, reason: str | None, n_faces: int) -> dict:
    frames = max(n_faces, 3 if status == "no_face" else 0)
    return video | {
        "uri": f"videos/{video['video_id']}.mp4",
        "status": status,
        "reason": reason,
        "attempts": 1,
        "n_frames": frames,
        "n_frames_with_face": n_faces,
        "n_decode_errors": 0,
        "n_faces": n_faces,
        "cpu_s": 0.25,
        "first_row": 0,
    }


def _outcomes(video: dict, outcome: str, count: int, reason: str | None) -> list[dict]:
    return [
        {
            "video_id": video["video_id"],
            "frame_index": frame,
            "time_s": float(frame),
            "outcome": outcome,
            "n_faces": int(outcome == "faces"),
            "reason": reason,
        }
        for frame in range(count)
    ]
