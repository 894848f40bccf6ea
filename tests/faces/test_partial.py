"""Of a long video no more is fetched than its sampled pictures need, and they are those of the whole file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from dfray import storage
from dfray.faces import sources
from dfray.faces.decode import sampled_pictures
from dfray.faces.partial import fetch_needed
from dfray.faces.sampling import Evenly, Sampling
from dfray.faces.sources import PartialVideo, served_source
from dfray.storage import Range
from tests.helpers.clips import moving_noise, write_clip
from tests.helpers.proxy import FaultProxy
from tests.helpers.remux import remux, without

RATE = 0.2
N = 600
OPEN = {"preset": "ultrafast", "x264-params": "open-gop=1:keyint=20:bframes=3:scenecut=0"}
REFRESHED = {"preset": "ultrafast", "x264-params": "intra-refresh=1:keyint=30"}


class Remote:
    """A file whose ranges are copied into a partial one."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.path = path.with_name(f"partial{path.suffix}")
        self.n_fetched = 0
        self.path.write_bytes(bytes(len(self.content)))

    def fetch(self, ranges: list[Range]) -> None:
        with open(self.path, "r+b") as file:
            for first, size in ranges:
                assert 0 <= first <= first + size <= len(self.content)
                file.seek(first)
                file.write(self.content[first : first + size])
                self.n_fetched += size

    def fetch_needed(self, first_frame: int = 0, sampling: Sampling = RATE) -> None:
        video = PartialVideo(str(self.path), len(self.content))
        fetch_needed(video, sampling, first_frame, self.fetch, lambda: None)

    @property
    def is_whole(self) -> bool:
        return self.path.read_bytes() == self.content


@pytest.fixture(scope="module")
def noise() -> list[np.ndarray]:
    return moving_noise(N, 320, 240)


@pytest.fixture(scope="module")
def clip(noise: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 s in groups of one second, some of whose keys are not due."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    options = {"preset": "ultrafast", "bf": "2", "g": "27", "sc_threshold": "0", "crf": "18"}
    return write_clip(path, noise, options=options)


def assert_same_pictures(
    remote: Remote, whole: Path, first_frame: int = 0, sampling: Sampling = RATE
) -> None:
    ours = list(sampled_pictures(str(remote.path), sampling, first_frame))
    theirs = list(sampled_pictures(str(whole), sampling, first_frame))
    for a, b in zip(ours, theirs, strict=True):
        assert (a.frame_index, a.time_s, a.reason) == (b.frame_index, b.time_s, b.reason)
        assert np.array_equal(a.image, b.image)


@pytest.mark.parametrize("first_frame", [0, 3])
def test_at_most_half_of_groups_of_one_second_is_fetched_for_a_picture_every_five(
    first_frame: int, clip: Path
) -> None:
    remote = Remote(clip)
    remote.fetch_needed(first_frame)
    assert_same_pictures(remote, clip, first_frame)
    assert remote.n_fetched < 0.5 * len(remote.content)


def test_a_number_of_pictures_is_fetched_alike(clip: Path) -> None:
    remote = Remote(clip)
    remote.fetch_needed(sampling=Evenly(5))
    assert_same_pictures(remote, clip, sampling=Evenly(5))
    assert remote.n_fetched < 0.5 * len(remote.content)


def test_at_most_half_of_the_object_leaves_the_object_store(
    clip: Path, bucket: str, s3_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LONG_VIDEO_BYTES", 1)
    uri = storage.join(bucket, clip.name)
    storage.put(clip, uri)
    s3_faults.answered.clear()
    with served_source(uri) as (video, copy):
        assert isinstance(video, PartialVideo)
        fetch_needed(video, RATE, 0, copy.fetch, lambda: None)
        n_sent = sum(n_bytes for _, n_bytes in s3_faults.answered)
        assert 0.1 * video.n_bytes < n_sent < 0.5 * video.n_bytes
        for ours, theirs in zip(
            sampled_pictures(video.path, RATE), sampled_pictures(str(clip), RATE), strict=True
        ):
            assert np.array_equal(ours.image, theirs.image)


def test_gaps_that_are_an_encoders_habit_are_one_in_the_packets_that_are_fetched(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    options = {"preset": "ultrafast", "bf": "0", "g": "27", "sc_threshold": "0", "crf": "18"}
    whole = write_clip(tmp_path / "whole.mp4", noise, options=options)
    gaps = remux(whole, tmp_path / "gaps.mp4", without(*(k for k in range(N) if k % 6 == 3)))
    remote = Remote(gaps)
    remote.fetch_needed()
    assert not remote.is_whole
    assert_same_pictures(remote, gaps)


def test_an_index_in_front_serves_as_well(clip: Path, tmp_path: Path) -> None:
    front = tmp_path / "front.mp4"
    with (
        av.open(str(clip)) as source,
        av.open(str(front), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    assert front.read_bytes().index(b"moov") < 100
    remote = Remote(front)
    remote.fetch_needed()
    assert_same_pictures(remote, clip)
    assert remote.n_fetched < 0.5 * len(remote.content)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("matroska.mkv", {"options": {"preset": "ultrafast"}}),
        (
            "fragments.mp4",
            {
                "options": {"preset": "ultrafast"},
                "container_options": {"movflags": "frag_keyframe+empty_moov"},
            },
        ),
        ("open.mp4", {"options": OPEN}),
        ("refreshed.mp4", {"options": REFRESHED}),
    ],
)
def test_a_file_whose_index_does_not_tell_is_fetched_whole(
    name: str, settings: dict[str, dict[str, str]], noise: list[np.ndarray], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / name, noise[:200], **settings)
    remote = Remote(path)
    remote.fetch_needed()
    assert remote.is_whole
    assert_same_pictures(remote, path)


@pytest.mark.parametrize("n_bytes", [0, 5, 40, 5000])
def test_a_file_that_is_cut_off_is_fetched_whole(n_bytes: int, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:n_bytes])
    remote = Remote(path)
    remote.fetch_needed()
    assert remote.is_whole
