"""A table of files, each picture of which carries its number, against the ffmpeg program and a full decode.

The program encodes a file and decodes all of it. Of the pictures that it shows, each sample has to be the one
on screen when it is due by the times at which the pictures were encoded, and equal to the bit to the same
picture in a full decode. A small part of the table runs with the fast tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dfray.faces.conversion import PictureConverter
from dfray.faces.decode import sampled_pictures
from tests.helpers.ffmpeg import encode, run_ffmpeg, shown_numbers
from tests.helpers.numbered import number_of, numbered_pictures
from tests.helpers.remux import (
    Coded,
    from_second_key,
    in_decoding_order,
    packed,
    remux,
    without,
)

N = 90
RATES = (Fraction(1), Fraction(7, 2), Fraction(1, 2))
Cut = Callable[[Path, Path], Path]
"""Makes a file (the second path) of the whole one (the first), and returns its path."""


@dataclass(frozen=True)
class Case:
    """A file of the table.

    Attributes:
        name: with the suffix of the container.
        arguments: of the ffmpeg program, blank-separated.
        fps: pictures a second.
        time: seconds at which picture n is shown, if not n / fps.
        cut: what is done to the encoded file.
        turn: quarter turns, clockwise, of the pictures before they are encoded.
        own_rate: it is sampled at its own rate besides.
    """

    name: str
    arguments: str
    fps: Fraction = Fraction(25)
    time: Callable[[int], Fraction] | None = None
    cut: Cut | None = None
    turn: int = 0
    own_rate: bool = False

    def time_s(self, number: int) -> Fraction:
        return number / self.fps if self.time is None else self.time(number)


def edited(edit: Callable[[list[Coded]], Iterable[Coded]]) -> Cut:
    return lambda whole, target: remux(whole, target, edit)


def copied(*before: str, after: tuple[str, ...] = ()) -> Cut:
    """Return a cut that copies the streams with these arguments before and after the input."""

    def cut(whole: Path, target: Path) -> Path:
        run_ffmpeg(*before, "-i", whole, "-c", "copy", *after, target)
        return target

    return cut


def bytes_from(share: float) -> Cut:
    """Return a cut that leaves out the beginning of a transport stream."""

    def cut(whole: Path, target: Path) -> Path:
        data = whole.read_bytes()
        target.write_bytes(data[round(len(data) / 188 * share) * 188 :])
        return target

    return cut


X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p"
X265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:pools=1"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p"
VP8 = "-c:v libvpx -deadline realtime -cpu-used 8 -pix_fmt yuv420p"
AV1 = "-c:v libsvtav1 -preset 10 -crf 20 -pix_fmt yuv420p -svtav1-params lp=1"
MPEG2 = "-c:v mpeg2video -pix_fmt yuv420p -q:v 4"
MPEG4 = "-c:v mpeg4 -pix_fmt yuv420p -q:v 4"
OPEN = "-x264-params open-gop=1:keyint=20:min-keyint=20:bframes=3:scenecut=0"
CLOSED = "-flags +cgop -sc_threshold 1000000000"
NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
VARYING = "-vf setpts=(N+3*floor(N/7))/(25*TB) -fps_mode passthrough -enc_time_base 1:25"


def varying(number: int) -> Fraction:
    return Fraction(number + 3 * (number // 7), 25)


def gaps(packets: list[Coded]) -> list[Coded]:
    return [coded for i, coded in enumerate(packets) if i < 25 or i % 5 == 0]


SMALL = [
    Case("h264_gop25.mp4", f"{X264} -g 25 -bf 3"),
    Case("h264_own_rate.mkv", f"{X264} -g 30 -bf 2", Fraction(30), own_rate=True),
    Case("h264_open.ts", f"{X264} {OPEN}", cut=edited(from_second_key)),
    Case("h264_varying.mp4", f"{X264} -g 20 -bf 2 {VARYING}", time=varying),
    Case("h264_remuxed.mkv", f"{X264} -g 20 -bf 3", cut=edited(in_decoding_order)),
    Case("h264_gaps.avi", f"{X264} -g 5 -bf 0", cut=edited(gaps)),
    Case("hevc_open.mkv", f"{X265}:keyint=20:open-gop=1"),
    Case("vp9_gop20.webm", f"{VP9} -g 20"),
    Case("av1.mp4", f"{AV1} -g 25"),
    Case("mpeg2.ts", f"{MPEG2} -g 12 -bf 2", cut=bytes_from(0.2)),
    Case("packed.avi", f"{MPEG4} -g 25 -bf 1", cut=edited(packed)),
    Case("mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p -q:v 5"),
]

REST = [
    *(
        Case(f"h264_gop{gop}_b{b}.{suffix}", f"{X264} -g {gop} -bf {b}")
        for gop, b, suffix in [
            (1, 0, "mp4"), (15, 0, "mp4"), (15, 3, "mkv"), (25, 1, "mov"), (55, 3, "mp4"),
            (250, 3, "mp4"), (250, 8, "mkv"), (30, 2, "ts"), (30, 2, "flv"), (40, 2, "avi"),
            (25, 0, "avi"), (12, 3, "m2ts"),
        ]
    ),
    *(
        Case(f"h264_{name}.{suffix}", f"{X264} {arguments}")
        for name, suffix, arguments in [
            ("open", "mp4", OPEN), ("open", "mkv", OPEN), ("open_whole", "ts", OPEN),
            ("pyramid", "mkv", "-bf 8 -x264-params b-pyramid=normal:keyint=30"),
            ("strict_pyramid", "mp4", "-bf 5 -x264-params b-pyramid=strict:keyint=22"),
            ("interlaced", "mp4", "-bf 2 -x264-params tff=1:keyint=20"),
            ("refresh", "ts", "-x264-params intra-refresh=1:keyint=20:bframes=0"),
            ("slices", "mp4", "-g 25 -x264-params slices=4:bframes=2"),
            ("fragments", "mp4", "-g 25 -movflags frag_keyframe+empty_moov"),
            ("faststart", "mp4", "-g 30 -bf 2 -movflags faststart"),
            ("full_range", "mp4", "-g 25 -vf scale=out_range=full -color_range pc"),
            ("sar2", "mp4", "-g 25 -vf setsar=2"), ("sar", "mkv", "-g 20 -vf setsar=8/9"),
            ("10bit", "mkv", "-g 25 -bf 2 -pix_fmt yuv420p10le"),
            ("444", "mp4", "-g 25 -pix_fmt yuv444p"),
        ]
    ),
    *(
        Case(f"h264_{name}.{suffix}", f"{X264} -g 20 -bf 3", rate, own_rate=True)
        for name, suffix, rate in [
            ("ntsc", "mkv", NTSC), ("film", "mkv", FILM), ("60", "mkv", Fraction(60)),
            ("ntsc", "mp4", NTSC), ("film", "ts", FILM), ("30", "flv", Fraction(30)),
            ("ntsc", "avi", NTSC), ("50", "mp4", Fraction(50)), ("15", "webm.mkv", Fraction(15)),
        ]
    ),
    Case("h264_varying.mkv", f"{X264} -g 20 -bf 3 {VARYING}", time=varying),
    Case("h264_varying.ts", f"{X264} -g 20 -bf 3 {VARYING}", time=varying),
    Case("h264_remuxed.mp4", f"{X264} -g 20 -bf 3", cut=edited(in_decoding_order)),
    Case("h264_remuxed.avi", f"{X264} -g 250 -bf 2", cut=edited(in_decoding_order)),
    Case("h264_turned90.mp4", f"{X264} -g 25", turn=1, cut=copied("-display_rotation", "90")),
    Case("h264_turned180.mov", f"{X264} -g 25", turn=2, cut=copied("-display_rotation", "180")),
    Case("h264_turned270.mp4", f"{X264} -g 25", turn=3, cut=copied("-display_rotation", "270")),
    Case("h264_open_cut.mkv", f"{X264} {OPEN}", cut=edited(from_second_key)),
    Case("h264_seeked.mp4", f"{X264} -g 25 -bf 3", cut=copied("-ss", "1.3")),
    Case("h264_seeked.mkv", f"{X264} -g 25 -bf 3", cut=copied("-ss", "1.3")),
    Case("h264_shortened.mp4", f"{X264} -g 25 -bf 3", cut=copied(after=("-t", "2.2"))),
    Case("h264_inside.ts", f"{X264} -g 20 -bf 2", cut=bytes_from(0.35)),
    Case("hevc_gop20.mp4", f"{X265}:keyint=20:open-gop=0"),
    Case("hevc_gop55.mkv", f"{X265}:keyint=55:bframes=4:b-pyramid=1"),
    Case("hevc_open.ts", f"{X265}:keyint=20:open-gop=1"),
    Case("hevc_open_cut.mkv", f"{X265}:keyint=20:open-gop=1", cut=edited(from_second_key)),
    Case("hevc_open_cut.ts", f"{X265}:keyint=20:open-gop=1", cut=edited(from_second_key)),
    Case("hevc_inside.ts", f"{X265}:keyint=20:open-gop=1", cut=bytes_from(0.35)),
    Case("hevc_layers2.mp4", f"{X265}:keyint=30:temporal-layers=2"),
    Case("hevc_layers3.mkv", f"{X265}:keyint=30:temporal-layers=3 -preset medium"),
    Case("hevc_radl.mp4", f"{X265}:keyint=20:radl=2:open-gop=0:bframes=4"),
    Case("hevc_radl_cut.ts", f"{X265}:keyint=20:radl=2:bframes=4", cut=edited(from_second_key)),
    Case("hevc_refresh.mkv", f"{X265}:keyint=20:intra-refresh=1:bframes=0"),
    Case("hevc_seeked.mp4", f"{X265}:keyint=20:open-gop=1", cut=copied("-ss", "1.5")),
    Case("hevc_kvazaar.mkv", "-c:v libkvazaar -kvazaar-params preset=ultrafast,period=16"),
    Case("h264_openh264.mp4", "-c:v libopenh264 -g 25 -pix_fmt yuv420p -b:v 1M"),
    Case("h264_open_seeked.mp4", f"{X264} {OPEN}", cut=copied("-ss", "1.5")),
    Case("h264_16_refs.mp4", f"{X264} -g 40 -bf 8 -refs 16"),
    Case("hevc_10bit.mp4", f"{X265}:keyint=25 -pix_fmt yuv420p10le"),
    Case("vp9_gop55.webm", f"{VP9} -g 55 -lag-in-frames 16 -auto-alt-ref 1"),
    Case("vp9_ntsc.mkv", f"{VP9} -g 20", NTSC, own_rate=True),
    Case("vp9.mp4", f"{VP9} -g 20"),
    Case("vp8_gop20.webm", f"{VP8} -g 20 -lag-in-frames 16 -auto-alt-ref 1"),
    Case("vp8_cut.webm", f"{VP8} -g 20", cut=edited(without(*range(8)))),
    Case("av1.mkv", f"{AV1} -g 20"),
    Case("mpeg1.mpg", "-c:v mpeg1video -pix_fmt yuv420p -q:v 4 -g 12 -bf 2"),
    Case("mpeg2.mpg", f"{MPEG2} -g 12 -bf 2"),
    Case("mpeg2_cut.mpg", f"{MPEG2} -g 12 -bf 2", cut=edited(from_second_key)),
    Case("mpeg2_cut.mkv", f"{MPEG2} -g 12 -bf 2", cut=edited(from_second_key)),
    Case("mpeg2_interlaced.ts", f"{MPEG2} -g 12 -bf 2 -flags +ildct+ilme"),
    Case("mpeg2_closed.ts", f"{MPEG2} -g 12 -bf 2 {CLOSED}"),
    Case("mpeg2_closed_cut.mpg", f"{MPEG2} -g 12 -bf 2 {CLOSED}", cut=edited(from_second_key)),
    Case("mpeg4_closed.mp4", f"{MPEG4} -g 12 -bf 2 {CLOSED}"),
    Case("mpeg4_quarter.avi", f"{MPEG4} -g 12 -bf 2 -flags +qpel"),
    Case("msmpeg4.avi", "-c:v msmpeg4v2 -pix_fmt yuv420p -q:v 4 -g 20"),
    Case("h263.3gp", "-c:v h263 -pix_fmt yuv420p -q:v 4 -g 20 -vf scale=176:144"),
    Case("mpeg4.mp4", f"{MPEG4} -g 20 -bf 2"),
    Case("mpeg4.avi", f"{MPEG4} -g 20 -bf 2"),
    Case("mpeg4_no_b.avi", f"{MPEG4} -g 20 -bf 0"),
    Case("packed.mkv", f"{MPEG4} -g 25 -bf 1", cut=edited(packed)),
    Case("prores.mov", "-c:v prores_ks -pix_fmt yuv422p10le"),
    Case("ffv1.mkv", "-c:v ffv1 -pix_fmt yuv420p -g 10"),
    Case("theora.ogv", "-c:v libtheora -pix_fmt yuv420p -q:v 8 -g 16"),
    Case("wmv2.wmv", "-c:v wmv2 -pix_fmt yuv420p -q:v 4 -g 20"),
    Case("sorenson.flv", "-c:v flv -pix_fmt yuv420p -q:v 4 -g 20"),
    Case("dnxhd.mov", "-c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p -vf scale=320:192"),
]  # fmt: skip


def made(case: Case, folder: Path) -> Path:
    pictures = [np.rot90(picture, -case.turn) for picture in numbered_pictures(N)]
    whole = folder / (case.name if case.cut is None else f"whole_{case.name}")
    encode(whole, pictures, str(case.fps), case.arguments.split())
    return whole if case.cut is None else case.cut(whole, folder / case.name)


def expected(case: Case, shown: list[int], rate: Fraction) -> list[int]:
    """Return the number of each sample's picture by its definition."""
    times = [case.time_s(number) - case.time_s(shown[0]) for number in shown]
    count = int(times[-1] * rate) + 1
    return [
        max(n for n, time in zip(shown, times, strict=True) if time <= k / rate)
        for k in range(count)
    ]


def full_decode(path: Path) -> dict[int | None, np.ndarray]:
    """Return every picture that PyAV shows by its number, as RGB."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        converter = PictureConverter(container, stream)
        images = {}
        for packet in container.demux(stream):
            with contextlib.suppress(av.FFmpegError):  # of packets before the first start
                decoded = [converter.picture(frame) for frame in packet.decode()]
                images |= {number_of(image): image for image in decoded}
    return images


def check(case: Case, folder: Path) -> None:
    path = made(case, folder)
    numbers = shown_numbers(path)
    shown = [number for number in numbers if number is not None]
    assert len(shown) == len(numbers) > 20
    images = full_decode(path)
    for rate in (*RATES, case.fps) if case.own_rate else RATES:
        pictures = list(sampled_pictures(str(path), float(rate)))
        due = expected(case, shown, rate)
        assert [p.image is not None and number_of(p.image) for p in pictures] == due, rate
        for picture, number in zip(pictures, due, strict=True):
            assert picture.time_s is not None
            assert picture.image is not None
            stated = case.time_s(number) - case.time_s(shown[0])
            assert abs(picture.time_s - stated) <= 1 / (2 * case.fps)
            assert np.array_equal(picture.image, images[number])


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_every_sample_is_the_picture_on_screen(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", REST, ids=lambda case: case.name)
def test_every_sample_of_every_kind_of_file_is_the_picture_on_screen(
    case: Case, tmp_path: Path
) -> None:
    check(case, tmp_path)
