"""Rows of the travelling tables, with every column filled; tests name only what they are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfray.config import FacesSection
from dfray.faces.crop_codec import encode_image
from dfray.faces.shard_writer import ShardWriter
from dfray.faces.shards import FacesStore
from dfray.tables import VIDEOS


def video_row(stem: str = "000", **changes) -> dict:
    row = {
        "dataset": "toy",
        "split": "train",
        "label": 0,
        "category": "real",
        "method": "camera",
        "uri": f"/videos/{stem}.mp4",
        "source_video": None,
        "identity": None,
        "content": None,
        "duration_s": 2.0,
        "licence": None,
        "kind": "video",
        "stride": 1,
        "n_images": 0,
    } | changes
    return {"video_id": f"{row['dataset']}/{row['method']}/{stem}"} | row


def fake_row(stem: str = "000", **changes) -> dict:
    return video_row(stem, **({"label": 1, "category": "FS", "method": "swap"} | changes))


def videos_table(rows: list[dict]) -> pa.Table:
    return VIDEOS.from_rows(rows)


def face_row(
    video: dict,
    image: np.ndarray,
    frame: int,
    settings: FacesSection,
    landmarks: np.ndarray | None = None,
) -> dict:
    encoding, data = encode_image(image, settings)
    return video | {
        "frame_index": frame,
        "time_s": frame / (settings.rate_fps or 1.0),
        "face_index": 0,
        "score": 0.9,
        "box": [0.0, 0.0, 10.0, 10.0],
        "crop": [0, 0, 10],
        "keypoints": [0.0] * 12,
        "landmarks": None if landmarks is None else landmarks.ravel(),
        "frame_width": 64,
        "frame_height": 64,
        "size_px": settings.size_px,
        "encoding": encoding,
        "image": data,
    }


def write_store(
    folder: Path | str,
    videos: list[tuple[dict, list[np.ndarray]]],
    settings: FacesSection,
    landmarks: Callable[[dict, int], np.ndarray | None] = lambda video, frame: None,
) -> FacesStore:
    """A committed store, a shard for each split, holding the given crops of each video.

    Args:
        landmarks: of a video and the rank of its crop; counted if the settings ask for any.
    """
    store = FacesStore(str(folder))
    store.claim(settings)
    for split in sorted({video["split"] for video, _ in videos}):
        writer = ShardWriter(store, f"{split}-{'0' * 12}.0", settings)
        for video, images in videos:
            if video["split"] != split:
                continue
            first = writer.rows
            points = [landmarks(video, frame) for frame in range(len(images))]
            for frame, image in enumerate(images):
                writer.add_face(face_row(video, image, frame, settings, points[frame]))
                writer.add_outcome(
                    {"video_id": video["video_id"], "frame_index": frame, "time_s": float(frame)}
                    | {"outcome": "faces", "n_faces": 1, "reason": None}
                )
            writer.add_summary(
                video
                | {
                    "status": "ok" if images else "no_face",
                    "reason": None,
                    "attempts": 1,
                    "n_frames": max(1, len(images)),
                    "n_frames_with_face": len(images),
                    "n_decode_errors": 0,
                    "n_faces": len(images),
                    "n_landmarks": (
                        sum(p is not None for p in points) if settings.landmarks else None
                    ),
                    "cpu_s": 0.1,
                    "shard": writer.shard,
                    "first_row": first,
                }
            )
        writer.commit()
    return store
