"""Conversion to BT.709 SDR, display-referred: of PQ and HLG (ITU-R BT.2100-2), of the transfer of digital
cinema (SMPTE ST 428-1), and of SDR in wide primaries.

Light is taken as a display shows it, in cd/m2, relative to the 203 cd/m2 of SDR white (ITU-R BT.2408-7). It
goes from its primaries to those of BT.709 and through the inverse of gamma 2.4 (ITU-R BT.1886). Up to white
that is the picture of an SDR display; above white a soft shoulder in each channel ends at the largest level.
SDR in BT.2020 or P3 primaries ends at white: colours that BT.709 does not have are clipped. The greenish
white of cinemas (DCI) becomes D65, to which an eye adapts as well.

Each step is a table of one channel or a matrix: a 3-D table that holds it all is up to 39 of 255 levels off
in saturated colours, even with 65 nodes a side, as a channel that nears zero has an unbounded slope.
"""

from __future__ import annotations

import cv2
import numpy as np

SDR_WHITE = 203.0
"""Light of SDR white, and of HDR reference white, in cd/m2 (ITU-R BT.2408-7, table 1)."""
PQ, CINEMA, HLG = 16, 17, 18
"""Transfer characteristics of SMPTE ST 2084 and ST 428-1, and of ARIB STD-B67 (ITU-T H.273, table 3)."""
_BRIGHTER = (PQ, HLG, CINEMA)
"""Transfers whose signals go beyond SDR white."""
BITS = 12
"""Depth of the RGB codes that are converted."""

_HLG_PEAK = 1000.0
"""Light of the brightest HLG signal on the nominal display, in cd/m2."""
_HLG_GAMMA = 1.2
"""System gamma of that display (ITU-R BT.2100-2, table 5, note 5f)."""
_SHOULDER = 0.99
"""SDR signal from which on the shoulder bends: white is 254 of 255, the brightest light 255."""

_D65, _DCI = (0.3127, 0.3290), (0.314, 0.351)
_CHROMATICITIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),  # ITU-R BT.709-6
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),  # ITU-R BT.2020-2
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),  # SMPTE RP 431-2, DCI-P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # SMPTE EG 432-1, Display P3
}
"""Number of the primaries (ITU-T H.273, table 2) -> x, y of red, green, blue and white."""
_BT709, _BT2020 = 1, 9
_WIDE = frozenset(_CHROMATICITIES) - {_BT709}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""Cone responses of XYZ, in which white is adapted (ICC.1:2022, annex E)."""

_BLOCK_PX = 16_384
"""Pixels converted at a time, so that they stay in the processor's cache: this halves the time."""


def is_converted(transfer: int, primaries: int) -> bool:
    """Return True if pictures of this transfer and these primaries differ from BT.709 SDR."""
    return transfer in _BRIGHTER or primaries in _WIDE


class SdrConverter:
    """Converter of RGB codes to 8-bit SDR.

    Args:
        transfer: PQ, HLG or CINEMA; any other is SDR.
        primaries: as ITU-T H.273 numbers them; BT.2020 if they are not stated or not known.
        white: code of the signal 1.
    """

    def __init__(self, transfer: int, primaries: int, white: int) -> None:
        if primaries not in _CHROMATICITIES:
            primaries = _BT2020
        to_xyz = _xyz_of_rgb(primaries)
        to_bt709 = np.linalg.inv(_xyz_of_rgb(_BT709)) @ to_xyz
        signal = np.minimum(np.arange(2**BITS) / white, 1)
        self._light = _coded_light(transfer, signal).astype(np.float32)
        self._matrix = (to_bt709 / SDR_WHITE).astype(np.float32)
        self._luminance = to_xyz[1:2].astype(np.float32) if transfer == HLG else None
        values = _light_of_upper_bits()
        signals = sdr_signal(values) if transfer in _BRIGHTER else values.clip(0, 1) ** (1 / 2.4)
        self._levels = (255 * signals).round().astype(np.uint8)
        self._gains = hlg_gain(values / _HLG_PEAK).astype(np.float32)

    def picture(self, codes: np.ndarray) -> np.ndarray:
        """Return uint8 (height, width, 3) SDR of uint16 (height, width, 3) codes of BITS bits."""
        height, width, _ = codes.shape
        image = np.empty((height, width, 3), np.uint8)
        n_rows = max(1, _BLOCK_PX // width)
        for top in range(0, height, n_rows):
            rows = slice(top, top + n_rows)
            light: np.ndarray = self._light.take(codes[rows], mode="clip")
            if self._luminance is not None:
                luminance = cv2.transform(light, self._luminance)
                light *= self._gains.take(_upper_bits(luminance), mode="clip")[..., None]
            light = cv2.transform(light, self._matrix)
            self._levels.take(_upper_bits(light), out=image[rows], mode="clip")
        return image


def _coded_light(transfer: int, signal: np.ndarray) -> np.ndarray:
    """Return the light of a display, in cd/m2, of a signal, 0..1; of HLG that of the scene, 1000 at most."""
    if transfer == HLG:
        return hlg_scene_light(signal) * _HLG_PEAK
    if transfer == PQ:
        return pq_light(signal)
    if transfer == CINEMA:
        return SDR_WHITE * cinema_light(signal)
    return np.asarray(SDR_WHITE * signal**2.4)


def pq_light(signal: np.ndarray) -> np.ndarray:
    """Return the light of a display, in cd/m2, of a PQ signal, 0..1 (ITU-R BT.2100-2, table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def cinema_light(signal: np.ndarray) -> np.ndarray:
    """Return the light of a projector over that of its white, of a signal, 0..1 (SMPTE ST 428-1, 4.3)."""
    return np.asarray(52.37 / 48 * signal**2.6)


def hlg_scene_light(signal: np.ndarray) -> np.ndarray:
    """Return the light of the scene, 0..1, of an HLG signal, 0..1 (ITU-R BT.2100-2, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def hlg_gain(luminance: np.ndarray) -> np.ndarray:
    """Return the factor of the OOTF on scene light of this luminance (ITU-R BT.2100-2, table 5).

    Args:
        luminance: 0..1.
    """
    return np.asarray(np.maximum(luminance, 0) ** (_HLG_GAMMA - 1))


def sdr_signal(light: np.ndarray) -> np.ndarray:
    """Return the SDR signal, 0..1, of light relative to SDR white: linear light below, a shoulder above."""
    signal = np.maximum(light, 0) ** (1 / 2.4)
    room = 1 - _SHOULDER
    bent = 1 - room * np.exp(-np.maximum(signal - _SHOULDER, 0) / room)
    return np.asarray(np.where(signal <= _SHOULDER, signal, bent))


def _xyz_of_rgb(primaries: int) -> np.ndarray:
    """Return the matrix from linear RGB to XYZ (SMPTE RP 177), 3 x 3; its second row gives luminance.

    White is adapted to D65.
    """
    *columns, white = (_xyz(x, y) for x, y in _CHROMATICITIES[primaries])
    of_rgb = np.stack(columns, axis=1)
    return np.asarray(_adaptation(white) @ of_rgb * np.linalg.solve(of_rgb, white))


def _adaptation(white: np.ndarray) -> np.ndarray:
    """Return the matrix that adapts XYZ under this white to D65 (ICC.1:2022, annex E), 3 x 3."""
    gains = (_BRADFORD @ _xyz(*_D65)) / (_BRADFORD @ white)
    return np.asarray(np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD))


def _xyz(x: float, y: float) -> np.ndarray:
    """Return X, Y, Z of a chromaticity at luminance 1."""
    return np.array([x / y, 1, (1 - x - y) / y])


def _upper_bits(light: np.ndarray) -> np.ndarray:
    """Return the upper 16 bits of float32 values: sign, exponent and 7 bits of the fraction."""
    return light.view(np.uint32) >> 16


def _light_of_upper_bits() -> np.ndarray:
    """Return the middle of the values that share each of the `_upper_bits`; 0 for those beyond numbers."""
    middles = (np.arange(2**16, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    return np.nan_to_num(middles, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
