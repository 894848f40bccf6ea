"""PQ, HLG and wide primaries give the picture of BT.709 SDR; all come from the standards' formulas here."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from dfray.faces.containers import open_video
from dfray.faces.conversion import PictureConverter
from dfray.faces.decode import sampled_pictures
from dfray.faces.properties import StreamProperties
from tests.helpers.remux import remux

BT709, UNSTATED, PQ, CINEMA, HLG, BT2020, DCI_P3, P3 = 1, 2, 16, 17, 18, 9, 11, 12
LIMITED, FULL = 1, 2

SDR = np.array(
    [
        [255, 255, 255],
        [180, 180, 180],
        [60, 60, 60],
        [16, 16, 16],
        [0, 0, 0],
        [224, 172, 150],
        [141, 85, 66],
        [70, 44, 36],
        [40, 90, 150],
        [90, 140, 60],
    ]
)
"""Colours of SDR pictures: greys, three of skin, cloth, leaves."""
SATURATED = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [128, 0, 128]])

XYZ_OF_BT709 = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
XYZ_OF_BT2020 = [[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0.0, 0.0281, 1.0610]]
XYZ_OF_P3 = [[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0.0, 0.0451, 1.0439]]
XYZ_OF_DCI_P3 = [[0.4452, 0.2771, 0.1723], [0.2095, 0.7216, 0.0689], [0.0, 0.0471, 0.9074]]
D65_OF_DCI = np.array(
    [[1.0245, 0.0152, 0.0197], [0.0256, 0.9726, 0.0047], [0.0064, -0.0123, 1.1479]]
)
XYZ_OF = {BT2020: XYZ_OF_BT2020, P3: XYZ_OF_P3, DCI_P3: D65_OF_DCI @ XYZ_OF_DCI_P3}
"""Under white D65; that of DCI is adapted by Bradford's method."""


def light_of(sdr: np.ndarray, primaries: int = BT2020) -> np.ndarray:
    """Light in cd/m2 that a display of 203 cd/m2 and gamma 2.4 shows, in RGB of these primaries."""
    matrix = np.linalg.inv(XYZ_OF[primaries]) @ XYZ_OF_BT709
    return np.maximum(203 * (sdr / 255) ** 2.4 @ matrix.T, 0)


def pq_signal(light: np.ndarray) -> np.ndarray:
    """Inverse EOTF of SMPTE ST 2084, section 5.3."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg_signal(light: np.ndarray) -> np.ndarray:
    """Inverse OOTF for 1000 cd/m2, then the OETF, of ITU-R BT.2100-2, table 5."""
    shown = light / 1000
    luminance = shown @ np.array([0.2627, 0.6780, 0.0593])
    gain = np.where(luminance > 0, np.maximum(luminance, 1e-9), 1) ** (1 / 1.2 - 1)
    scene = shown * gain[:, None]
    log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


def cinema_signal(light: np.ndarray) -> np.ndarray:
    """Encoding of SMPTE ST 428-1, section 4.3, with white at 203 cd/m2 instead of 48."""
    return (48 * light / 203 / 52.37) ** (1 / 2.6)


def bt2020_codes(signal: np.ndarray) -> np.ndarray:
    """Y, Cb, Cr of limited range at 10 bits (ITU-R BT.2020-2, tables 4 and 5)."""
    y = signal @ np.array([0.2627, 0.6780, 0.0593])
    cb, cr = (signal[:, 2] - y) / 1.8814, (signal[:, 0] - y) / 1.4746
    return np.stack([876 * y + 64, 896 * cb + 512, 896 * cr + 512], axis=1).round()


def write_codes(
    path: Path,
    codes: np.ndarray,
    *,
    codec: str,
    pix_fmt: str,
    transfer: int,
    primaries: int = BT2020,
    matrix: int = BT2020,
    colour_range: int = LIMITED,
) -> Path:
    """Write flat fields of `codes` (N, 3), 16 px wide, in the order of the format's planes, without loss."""
    fields = np.repeat(codes.T.astype("<u2")[:, None, :], 64, axis=1).repeat(16, axis=2)
    with av.open(str(path), "w") as out:
        options = {"x265-params": "lossless=1:log-level=none"} if codec == "libx265" else {}
        stream = out.add_stream(codec, rate=5, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, fields.shape[2], pix_fmt
        context = stream.codec_context
        context.color_trc, context.color_primaries = transfer, primaries
        context.color_range, context.colorspace = colour_range, 0 if "rgb" in pix_fmt else matrix
        for i in range(3):
            frame = av.VideoFrame(stream.width, stream.height, pix_fmt)
            frame.pts = i
            frame.color_trc, frame.color_primaries = transfer, primaries
            frame.color_range, frame.colorspace = colour_range, context.colorspace
            for plane, field in zip(frame.planes, fields, strict=True):
                padded = np.zeros((64, plane.line_size // 2), "<u2")
                padded[:, : stream.width] = field
                plane.update(padded.tobytes())
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def levels(path: Path) -> np.ndarray:
    """The middle of each field of the one picture sampled."""
    (picture,) = sampled_pictures(str(path), 1.0)
    assert picture.image is not None
    return picture.image[32, 8::16].astype(int)


SIGNALS = {PQ: pq_signal, HLG: hlg_signal, CINEMA: cinema_signal}


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hevc_of_ten_bits_as_phones_record_it_is_its_sdr_version(
    transfer: int, tmp_path: Path
) -> None:
    codes = bt2020_codes(SIGNALS[transfer](light_of(SDR)))
    path = tmp_path / "phone.mp4"
    write_codes(path, codes, codec="libx265", pix_fmt="yuv444p10le", transfer=transfer)
    assert np.abs(levels(path) - SDR).max() <= 3


@pytest.mark.parametrize("primaries", [BT2020, P3, DCI_P3])
def test_sdr_in_wide_primaries_is_its_bt709_version(primaries: int, tmp_path: Path) -> None:
    signal = (light_of(SDR, primaries) / 203) ** (1 / 2.4)
    codes = bt2020_codes(signal)
    path = tmp_path / "wide.mp4"
    write_codes(
        path,
        codes,
        codec="libx265",
        pix_fmt="yuv444p10le",
        transfer=BT709,
        primaries=primaries,
    )
    shown = levels(path)
    assert np.abs(shown - SDR).max() <= 3
    assert shown[0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("transfer", "primaries", "transfer_name", "name"),
    [
        (PQ, BT2020, "smpte2084", "phone.mp4"),
        (PQ, BT2020, "smpte2084", "phone.mkv"),
        (HLG, BT2020, "arib-std-b67", "phone.mov"),
        (PQ, P3, "smpte2084", "phone.mkv"),
    ],
)
def test_colour_that_only_the_container_states_is_converted(
    transfer: int, primaries: int, transfer_name: str, name: str, tmp_path: Path
) -> None:
    """FFmpeg's decoder of HEVC hides it: its frames state what the bitstream does."""
    codes = bt2020_codes(SIGNALS[transfer](light_of(SDR, primaries)))
    silent = write_codes(
        tmp_path / "silent.mp4",
        codes,
        codec="libx265",
        pix_fmt="yuv444p10le",
        transfer=UNSTATED,
        primaries=UNSTATED,
        matrix=UNSTATED,
    )
    stated = {"color_trc": transfer, "color_primaries": primaries, "colorspace": BT2020}
    path = remux(silent, tmp_path / name, **stated)
    assert np.abs(levels(path) - SDR).max() <= 3
    properties: list[StreamProperties] = []
    list(sampled_pictures(str(path), 1.0, on_stream=properties.append))
    assert [stream.transfer for stream in properties] == [transfer_name] * 2


def test_colour_that_the_bitstream_states_goes_before_the_containers(tmp_path: Path) -> None:
    codes = bt2020_codes(hlg_signal(light_of(SDR)))
    path = tmp_path / "hlg.mp4"
    write_codes(path, codes, codec="libx265", pix_fmt="yuv444p10le", transfer=HLG)
    wrong = {"color_trc": PQ, "color_primaries": P3, "colorspace": 1}
    assert np.abs(levels(remux(path, tmp_path / "wrong.mp4", **wrong)) - SDR).max() <= 3


@pytest.mark.parametrize(
    ("transfer", "primaries"),
    [(PQ, BT2020), (HLG, BT2020), (PQ, P3), (CINEMA, P3), (CINEMA, DCI_P3)],
)
def test_saturated_colours_keep_their_dark_channels(
    transfer: int, primaries: int, tmp_path: Path
) -> None:
    colours = np.concatenate([SDR, SATURATED])
    signal = SIGNALS[transfer](light_of(colours, primaries))
    codes = (4095 * signal[:, [1, 2, 0]]).round()  # gbrp: green, blue, red
    path = write_codes(
        tmp_path / "mastered.mkv",
        codes,
        codec="ffv1",
        pix_fmt="gbrp12le",
        transfer=transfer,
        primaries=primaries,
        colour_range=FULL,
    )
    bright = colours > 0
    error = np.abs(levels(path) - colours)
    assert error[bright].max() <= 3
    assert error[~bright].max() <= 20  # one code of 12 bits beside a bright channel


@pytest.mark.parametrize("transfer", [UNSTATED, CINEMA])
def test_light_of_no_primaries_is_converted_once(transfer: int, tmp_path: Path) -> None:
    """FFmpeg makes RGB of the X'Y'Z' of digital cinema, whatever is stated of it."""
    path = write_codes(
        tmp_path / "any.mkv",
        bt2020_codes(SDR / 255),
        codec="ffv1",
        pix_fmt="yuv444p10le",
        transfer=BT709,
        primaries=BT709,
    )
    xyz = av.VideoFrame(16, 16, "xyz12le")
    codes = np.full(xyz.planes[0].buffer_size // 2, 2000 << 4, "<u2")
    xyz.planes[0].update(codes.tobytes())
    xyz.color_trc = transfer
    with open_video(str(path)) as (container, stream):
        image = PictureConverter(container, stream).picture(xyz)
    assert np.array_equal(image, xyz.to_ndarray(format="rgb24"))


def test_light_above_white_ends_softly_and_never_wraps(tmp_path: Path) -> None:
    light = np.array([150, 190, 203, 210, 250, 400, 1000, 4000, 10_000])
    codes = bt2020_codes(pq_signal(np.repeat(light[:, None], 3, axis=1)))
    path = tmp_path / "bright.mp4"
    write_codes(path, codes, codec="libx265", pix_fmt="yuv444p10le", transfer=PQ)
    grey = levels(path)
    assert np.ptp(grey, axis=1).max() == 0
    assert (np.diff(grey[:, 0]) >= 0).all()
    white, brightest = grey[2, 0], grey[-1, 0]
    assert white == 254
    assert brightest == 255


def test_a_bright_warm_light_stays_warm(tmp_path: Path) -> None:
    lamp = light_of(np.array([[255, 170, 120]])) * 2
    path = tmp_path / "lamp.mp4"
    write_codes(
        path, bt2020_codes(pq_signal(lamp)), codec="libx265", pix_fmt="yuv444p10le", transfer=PQ
    )
    ((red, green, blue),) = levels(path)
    assert red >= 254
    assert red > green > blue
    assert abs(blue - 120 * 2 ** (1 / 2.4)) <= 3
