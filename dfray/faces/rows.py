"""Rows of FACES, OUTCOMES and SUMMARIES, made of a video's frames and its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

from dfray.config import FacesSection
from dfray.faces.crop_codec import encode_image
from dfray.faces.video import Frame, VideoEnd
from dfray.tables import FACES, SUMMARIES, Row

_OF_VIDEO = FACES.names[:6]
"""Columns of FACES that are the video's own."""
_CARRIED = SUMMARIES.names[:10]
"""Columns of SUMMARIES that are the video's own."""


def face_rows(video: Row, frame: Frame, settings: FacesSection) -> Iterator[Row]:
    """Yield a row of FACES for each face of the frame."""
    for face in frame.faces:
        encoding, image = encode_image(face.image, settings)
        yield {name: video[name] for name in _OF_VIDEO} | {
            "frame_index": frame.frame_index,
            "time_s": frame.time_s or 0.0,
            "face_index": face.face_index,
            "score": face.score,
            "box": face.box,
            "crop": face.crop,
            "keypoints": face.keypoints,
            "landmarks": None if face.landmarks is None else face.landmarks.ravel(),
            "frame_width": frame.width,
            "frame_height": frame.height,
            "size_px": settings.size_px,
            "encoding": encoding,
            "image": image,
        }


def outcome_row(video: Row, frame: Frame) -> Row:
    """Return the row of OUTCOMES of a sampled frame."""
    return {
        "video_id": video["video_id"],
        "frame_index": frame.frame_index,
        "time_s": frame.time_s,
        "outcome": frame.outcome,
        "n_faces": len(frame.faces),
        "reason": frame.reason,
        "n_doubtful": frame.n_doubtful,
    }


def lost_row(video: Row, frame_index: int, reason: str | None) -> Row:
    """Return the row of OUTCOMES of a frame that crashed or hung the decoder on every attempt."""
    return outcome_row(video, Frame(frame_index, None, "decode_error", reason))


def summary_row(video: Row, end: VideoEnd, counts: Counter[str], has_landmarks: bool) -> Row:
    """Return the row of SUMMARIES of a video, but for its place in a shard.

    Args:
        video: a row of VIDEOS.
        counts: of frames, of each outcome, of doubtful ones, of face rows and of landmarks.
        has_landmarks: landmarks were looked for.
    """
    return {name: video[name] for name in _CARRIED} | {
        "status": end.status,
        "reason": end.reason,
        "attempts": end.attempts,
        "n_frames": counts["frames"],
        "n_frames_with_face": counts["faces"],
        "n_decode_errors": counts["decode_error"],
        "n_frames_doubtful": counts["doubtful"],
        "n_faces": counts["rows"],
        "n_landmarks": counts["landmarks"] if has_landmarks else None,
        "cpu_s": end.cpu_s,
        "digest": end.digest,
        **asdict(end.stream),
    }
