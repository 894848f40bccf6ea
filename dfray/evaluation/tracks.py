"""Tracks of people in a video: faces linked over sampled frames, so that each person has a score.

Frames are a second or so apart, people move and leave, and two may cross. So a face goes to the person whose
last box it overlaps and whose faces it resembles, all faces of a frame at once (the assignment of highest
affinity), and a person who is not seen for a while is remembered. Two faces of one frame are two people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.errors import EvaluationError
from dfray.evaluation.aggregate import check_scores

MIN_OVERLAP = 0.1
"""Intersection over union with the last box from which a face may be the same person's by place alone."""
MIN_LIKENESS = 0.8
"""Cosine of the embeddings from which it may be by looks alone, if it is near and about as large."""
MAX_STEPS = 3.0
"""How far apart, in box sides, faces may lie that are linked by looks."""
MAX_SCALE = 2.0
MAX_GAP_S = 5.0
"""A person unseen for longer is a new one."""

_KEYS = ("video_id", "frame_index", "face_index")


def track_persons(scores: pa.Table, boxes: pa.Table, rate_fps: float | None) -> np.ndarray:
    """Return the person in each face of SCORES, in the order of video, frame and face.

    Args:
        scores: SCORES of a split; their embeddings tell how alike faces are.
        boxes: from `read_boxes` on the same faces.
        rate_fps: at which their frames were sampled; None: not at a rate, and their times tell.

    Returns:
        int32 (N,): 0, 1, ... within each video, in the order of appearance.

    Raises:
        EvaluationError: the two are not of the same faces.
    """
    scores = check_scores(scores)
    if not scores.select(_KEYS).equals(boxes.select(_KEYS).cast(scores.select(_KEYS).schema)):
        raise EvaluationError(
            "Scores and boxes are not of the same faces.",
            "Score the split's faces again, all of them.",
        )
    videos = np.asarray(scores["video_id"].to_pylist(), str)
    places = boxes["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    embeddings = scores["embedding"].combine_chunks()
    frames, times_s = boxes["frame_index"].to_numpy(), boxes["time_s"].to_numpy()
    starts = np.flatnonzero(np.append(videos[:1] != "", videos[1:] != videos[:-1]))
    persons = np.zeros(len(videos), np.int32)
    for start, end in zip(starts, [*starts[1:], len(videos)], strict=True):
        of_video = embeddings.slice(start, end - start)
        values = of_video.flatten().to_numpy(zero_copy_only=False)
        seconds = frame_seconds(frames[start:end], times_s[start:end], rate_fps)
        persons[start:end] = track_faces(
            frames[start:end], places[start:end], values.reshape(end - start, -1), seconds
        )
    return persons


def frame_seconds(frames: np.ndarray, times_s: np.ndarray, rate_fps: float | None) -> np.ndarray:
    """Return how far each face's frame is into its video, by which a person is remembered: (N,), in seconds.

    Args:
        frames: int (N,), the index of each face's frame.
        times_s: float (N,), its time; 0 or NaN for pictures of a folder, which then count a second each.
        rate_fps: at which frames were sampled; None: not at a rate.
    """
    if rate_fps is not None:
        return frames / rate_fps
    times_s = np.nan_to_num(times_s)
    return times_s if times_s.any() else frames.astype(np.float64)


def track_faces(
    frames: np.ndarray, boxes: np.ndarray, embeddings: np.ndarray, seconds: np.ndarray
) -> np.ndarray:
    """Return the person in each face of one video.

    Frames are told apart by their index: pictures in a folder have no time, and a still repeats one.

    Args:
        frames: int (N,), the index of each face's frame, ascending.
        boxes: float (N, 4), x, y, w, h in px.
        embeddings: float (N, D).
        seconds: float (N,), of `frame_seconds`.

    Returns:
        int32 (N,): 0, 1, ... in the order of appearance.
    """
    directions = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    persons = np.full(len(frames), -1, np.int32)
    people: list[_Person] = []
    for frame in np.unique(frames):
        faces = np.flatnonzero(frames == frame)
        time = float(seconds[faces[0]])
        near = [p for p in range(len(people)) if time - people[p].seen_s <= MAX_GAP_S]
        affinity = np.array(
            [[people[p].affinity(boxes[f], directions[f]) for p in near] for f in faces]
        ).reshape(len(faces), len(near))
        for row, column in _assigned(affinity):
            if affinity[row, column] > 0:
                persons[faces[row]] = near[column]
        for face in faces:
            if persons[face] < 0:
                persons[face] = len(people)
                people.append(_Person(boxes[face], time, np.zeros_like(directions[face])))
            people[persons[face]].meet(boxes[face], time, directions[face])
    return persons


def _assigned(affinity: np.ndarray) -> list[tuple[int, int]]:
    """Return (row, column) pairs of the highest sum of affinities, each row and column in one at most."""
    rows, columns = affinity.shape
    if min(rows, columns) <= 1:  # most frames show one face: no import of SciPy for them
        return [divmod(int(affinity.argmax()), columns)] if affinity.size else []
    from scipy.optimize import linear_sum_assignment

    found = linear_sum_assignment(affinity, maximize=True)
    return [(int(row), int(column)) for row, column in zip(*found, strict=True)]


@dataclass
class _Person:
    """Last box and time of a person, and the sum of the directions of their embeddings."""

    box: np.ndarray
    seen_s: float
    looks: np.ndarray

    def meet(self, box: np.ndarray, time_s: float, direction: np.ndarray) -> None:
        self.box, self.seen_s, self.looks = box, time_s, self.looks + direction

    def affinity(self, box: np.ndarray, direction: np.ndarray) -> float:
        """Overlap plus likeness, in 0..2; 0: this is somebody else."""
        overlap = _overlap(self.box, box)
        likeness = float(self.looks @ direction / max(np.linalg.norm(self.looks), 1e-12))
        by_looks = likeness >= MIN_LIKENESS and _is_near(self.box, box)
        return overlap + max(0.0, likeness) if overlap >= MIN_OVERLAP or by_looks else 0.0


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes x, y, w, h."""
    corner = np.minimum(first[:2] + first[2:], second[:2] + second[2:])
    width, height = np.maximum(corner - np.maximum(first[:2], second[:2]), 0)
    common = width * height
    return float(common / max(first[2] * first[3] + second[2] * second[3] - common, 1e-12))


def _is_near(first: np.ndarray, second: np.ndarray) -> bool:
    """Return True if two boxes are about as large, and within a few sides of each other."""
    sides = max(first[2:]), max(second[2:])
    apart = np.linalg.norm((first[:2] + first[2:] / 2) - (second[:2] + second[2:] / 2))
    return bool(max(sides) <= MAX_SCALE * min(sides) and apart <= MAX_STEPS * max(sides))
