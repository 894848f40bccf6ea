"""The sampled pictures are those of a full decode, to the pixel, upright, whatever the file."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dfray.faces.decode import Picture, sampled_pictures
from dfray.faces.sampling import Evenly
from dfray.faces.sources import UnreadableSourceError
from tests.helpers.clips import decode_all, moving_noise, write_clip

N = 100
VARYING = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.15, N)).tolist()

CLIPS: dict[str, dict[str, Any]] = {
    "gop250.mp4": {"options": {"bf": "3", "g": "250"}},
    "varying_rate.mp4": {"options": {"bf": "3", "g": "250"}, "times_s": VARYING},
    "pyramid.mkv": {"options": {"bf": "8", "x264-params": "b-pyramid=normal"}},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=20:bframes=3:scenecut=0"}},
    "interlaced.mp4": {"options": {"x264-params": "tff=1:bframes=3"}},
    "broadcast.ts": {"options": {"bf": "2", "x264-params": "intra-refresh=1:keyint=30"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"lag-in-frames": "16", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2", "g": "100"}},
    "mpeg2.mkv": {"codec": "mpeg2video", "options": {"bf": "2"}},
}


def pictures(path: Path, rate_fps: float = 1.0) -> list[Picture]:
    return list(sampled_pictures(str(path), rate_fps))


def images(path: Path, rate_fps: float = 1.0) -> list[np.ndarray]:
    found = pictures(path, rate_fps)
    assert [picture.frame_index for picture in found] == list(range(len(found)))
    return [image for picture in found if (image := picture.image) is not None]


@pytest.fixture(scope="module")
def noise() -> list[np.ndarray]:
    return moving_noise(N)


@pytest.mark.parametrize("name", CLIPS)
def test_every_picture_is_the_one_of_a_full_decode(
    name: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / name, noise, **CLIPS[name])
    reference = decode_all(path)
    for rate in (1.0, 2.5, 1 / 3, 7.0, 25.0):
        due = [k / rate for k in range(10_000) if k / rate <= reference[-1][0] + 1e-9]
        found = pictures(path, rate)
        assert len(found) == len(due)
        for picture, due_s in zip(found, due, strict=True):
            time_s, image = [r for r in reference if r[0] <= due_s + 1e-9][-1]
            assert picture.time_s == pytest.approx(time_s)
            assert picture.image is not None
            assert np.array_equal(picture.image, image)


@pytest.mark.parametrize("name", [*CLIPS, "raw.h264", "no_presentation_times.avi"])
def test_a_number_of_pictures_are_those_of_a_full_decode_whatever_the_file_states(
    name: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    """Neither a length nor times nor a number of pictures need be stated."""
    path = write_clip(tmp_path / name, noise, **CLIPS.get(name, {"options": {"bf": "3"}}))
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    found = list(sampled_pictures(str(path), Evenly(7)))
    numbers = np.linspace(0, len(shown) - 1, 7, dtype=int)
    assert len(found) == 7
    for picture, number in zip(found, numbers, strict=True):
        assert picture.image is not None
        assert np.array_equal(picture.image, shown[number])
    late = list(sampled_pictures(str(path), Evenly(7), first_frame=5))
    assert [picture.frame_index for picture in late] == [5, 6]
    assert np.array_equal(late[0].image, found[5].image)


@pytest.mark.parametrize("name", ["raw.h264", "no_presentation_times.avi"])
def test_without_timestamps_pictures_are_counted(
    name: str, noise: list[np.ndarray], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / name, noise, options={"bf": "3"})
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    found = images(path, rate_fps=5.0)
    assert len(found) == 20
    assert all(np.array_equal(image, shown[5 * k]) for k, image in enumerate(found))


def test_a_video_can_be_taken_up_in_the_middle(noise: list[np.ndarray], tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", noise)
    rest = list(sampled_pictures(str(path), 1.0, first_frame=2))
    assert [picture.frame_index for picture in rest] == [2, 3]
    whole = pictures(path)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(rest, whole[2:], strict=True))


def test_pictures_come_while_the_file_is_read_each_packet_a_sign_of_life(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.mp4", noise)
    signs: list[int] = []
    arriving = sampled_pictures(str(path), 1.0, on_packet=lambda: signs.append(1))
    seen = [len(signs) for _ in arriving]
    of_timeline = N + 1  # the timestamps are read first, with the dummy packet at the end
    for k, count in enumerate(seen):
        decoded_before = count - of_timeline
        assert 25 * k - 4 < decoded_before < 25 * k + 25  # B-frames are decoded late


def test_the_main_video_is_taken_of_two(tmp_path: Path) -> None:
    small, large = moving_noise(30, 64, 48), moving_noise(30, 128, 96)
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, clip in zip(streams, (small, large), strict=True):
            stream.height, stream.width = clip[0].shape[:2]
            stream.pix_fmt = "yuv420p"
        streams[1].disposition = av.stream.Disposition.default
        for pair in zip(small, large, strict=True):
            for stream, image in zip(streams, pair, strict=True):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in streams:
            out.mux(stream.encode(None))
    with av.open(str(path)) as container:
        best = container.streams.best("video")
        assert (best.width, best.height) == (128, 96)
    assert [image.shape for image in images(path)] == [(96, 128, 3)] * 2


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=44100)
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate = 44100
        out.mux(cover.encode(av.VideoFrame.from_ndarray(moving_noise(1, 64, 48)[0])))
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(UnreadableSourceError, match="no video stream"):
        pictures(path)


def test_the_size_may_change_in_mid_stream(tmp_path: Path) -> None:
    parts = [
        write_clip(tmp_path / f"{side}.ts", moving_noise(50, side, side), options={"bf": "0"})
        for side in (64, 128)
    ]
    second = tmp_path / "second.ts"
    with av.open(str(parts[1])) as source, av.open(str(second), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts += 180_000
                packet.dts += 180_000
                packet.stream = stream
                out.mux(packet)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(parts[0].read_bytes() + second.read_bytes())
    assert [image.shape[0] for image in images(joined)] == [64, 64, 128, 128]


def test_a_damaged_picture_is_reported_and_decoding_goes_on(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_noise(125, 320, 240), options={"g": "25"})
    with av.open(str(path)) as container:
        hit = [packet for packet in container.demux(video=0) if packet.is_keyframe][2]
        start, size = hit.pos, hit.size
    data = bytearray(path.read_bytes())
    data[start : start + size] = np.random.default_rng(0).bytes(size)
    path.write_bytes(data)
    found = pictures(path)
    assert [picture.image is not None for picture in found] == [True, True, False, True, True]
    assert "Invalid data" in str(found[2].reason)
    assert found[2].time_s == pytest.approx(2.0)


def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise, options={"g": "25"})
    front = tmp_path / "front.mp4"
    with (
        av.open(str(whole)) as source,
        av.open(str(front), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    front.write_bytes(front.read_bytes()[: front.stat().st_size // 2])
    *kept, last = pictures(front)
    assert len(kept) >= 1
    assert all(picture.image is not None for picture in kept)
    assert last.image is None
    assert "cut off" in str(last.reason)


def test_a_playlist_under_a_videos_name_opens_nothing_else(
    noise: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("#EXTM3U\n#EXTINF:4,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnreadableSourceError, match="cannot be opened"):
        pictures(path)


def test_decoded_pictures_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_noise(60), rotation=90)
    gc.collect()
    gc.disable()
    try:
        for _ in sampled_pictures(str(path), 25.0):
            pass
        kept = [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    finally:
        gc.enable()
    assert len(kept) <= 1


def test_three_hours_are_read_in_the_memory_of_a_few_pictures(tmp_path: Path) -> None:
    """2,700 pictures four seconds apart, 10,800 samples: 117 MB if they were kept."""
    still = moving_noise(4, 160, 90)
    shown = (still[i % 4] for i in range(2700))
    path = write_clip(
        tmp_path / "long.mp4",
        shown,
        times_s=[4.0 * i for i in range(2700)],
        options={"preset": "ultrafast", "crf": "40"},
    )
    tracemalloc.start()
    count, last = 0, None
    for picture in sampled_pictures(str(path), 1.0):
        assert picture.image is not None
        assert picture.time_s == 4.0 * (picture.frame_index // 4)
        count, last = count + 1, picture
    assert last is not None
    assert (count, last.time_s) == (10_797, 4.0 * 2699)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20 * 2**20
