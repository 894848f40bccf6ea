"""Bounds of a video: what is too large, too slow or too long costs itself alone, and is told."""

from __future__ import annotations

from pathlib import Path

from dfray import storage
from dfray.config import FacesSection
from dfray.faces.supervise import Bounds, SupervisedExtractor
from dfray.faces.video import VideoEnd
from tests.faces.test_supervise import FRAGILE
from tests.helpers.clips import talking_head, write_clip


def test_a_file_above_the_bound_is_not_opened(tmp_path: Path, bucket: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4", talking_head(26))
    storage.put(clip, f"{bucket}/clip.mp4")
    extractor = SupervisedExtractor(FacesSection(), bounds=Bounds(file_bytes=100))
    for uri in (str(clip), f"{bucket}/clip.mp4"):
        (end,) = extractor.extract(uri)
        assert isinstance(end, VideoEnd)
        assert (end.status, end.attempts) == ("unreadable", 1)
        assert "more than 100" in str(end.reason)
    extractor.close()


def test_a_video_that_takes_too_long_is_stopped_however_steadily_it_works(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", talking_head(26))
    Path(f"{clip}.slow").touch()
    extractor = SupervisedExtractor(FacesSection(), FRAGILE, Bounds(time_s=1.0))
    *_, end = extractor.extract(str(clip))
    extractor.close()
    assert isinstance(end, VideoEnd)
    assert (end.status, end.attempts) == ("timed_out", 1)
    assert str(end.reason).startswith("not done within 1 s")


def test_a_video_above_the_bound_of_length_is_refused_at_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", talking_head(26))
    extractor = SupervisedExtractor(FacesSection(), bounds=Bounds(length_s=0.5))
    *frames, end = extractor.extract(str(clip))
    extractor.close()
    assert isinstance(end, VideoEnd)
    assert (end.status, end.attempts, frames) == ("unreadable", 1, [])
    assert str(end.reason) == "longer than 0.00833333 min"


def test_a_video_within_the_bound_of_length_is_extracted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", talking_head(26))
    extractor = SupervisedExtractor(FacesSection(), bounds=Bounds(length_s=60))
    *_, end = extractor.extract(str(clip))
    extractor.close()
    assert isinstance(end, VideoEnd)
    assert end.status == "ok"
