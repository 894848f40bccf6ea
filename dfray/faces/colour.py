"""Conversion to BT.709 SDR, display-referred, of PQ and HLG (ITU-R BT.2100-2), and of SDR in wide primaries.

Light is taken as a display shows it, in cd/m2, relative to the 203 cd/m2 of SDR white (ITU-R BT.2408-7). It
goes from its primaries to those of BT.709 and through the inverse of gamma 2.4 (ITU-R BT.1886). Up to white
that is the picture of an SDR display; above white a soft shoulder in each channel ends at the largest level.
SDR in BT.2020 or Display P3 primaries ends at white: colours that BT.709 does not have are clipped.

Each step is a table of one channel or a matrix: a 3-D table that holds it all is up to 39 of 255 levels off
in saturated colours, even with 65 nodes a side, as a channel that nears zero has an unbounded slope.
"""

from __future__ import annotations

import cv2
import numpy as np

SDR_WHITE = 203.0
"""Light of SDR white, and of HDR reference white, in cd/m2 (ITU-R BT.2408-7, table 1)."""
PQ, HLG = 16, 18
"""Transfer characteristics of SMPTE ST 2084 and ARIB STD-B67, as ITU-T H.273, table 3, numbers them."""
BITS = 12
"""Depth of the RGB codes that are converted."""

_HLG_PEAK = 1000.0
"""Light of the brightest HLG signal on the nominal display, in cd/m2."""
_HLG_GAMMA = 1.2
"""System gamma of that display (ITU-R BT.2100-2, table 5, note 5f)."""
_SHOULDER = 0.99
"""SDR signal from which on the shoulder bends: white is 254 of 255, the brightest light 255."""

_CHROMATICITIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # ITU-R BT.709-6
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # ITU-R BT.2020-2
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # SMPTE EG 432-1, Display P3
}
"""Number of the primaries (ITU-T H.273, table 2) -> x, y of red, green and blue; all with white D65."""
_BT709, _BT2020 = 1, 9
_WIDE = frozenset(_CHROMATICITIES) - {_BT709}
_D65 = (0.3127, 0.3290)

_BLOCK_PX = 16_384
"""Pixels converted at a time, so that they stay in the processor's cache: this halves the time."""


def is_converted(transfer: int, primaries: int) -> bool:
    """Return True if pictures of this transfer and these primaries differ from BT.709 SDR."""
    return transfer in (PQ, HLG) or primaries in _WIDE


class SdrConverter:
    """Converter of RGB codes to 8-bit SDR.

    Args:
        transfer: PQ or HLG; any other is SDR.
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
        signals = sdr_signal(values) if transfer in (PQ, HLG) else values.clip(0, 1) ** (1 / 2.4)
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
    return np.asarray(SDR_WHITE * signal**2.4)


def pq_light(signal: np.ndarray) -> np.ndarray:
    """Return the light of a display, in cd/m2, of a PQ signal, 0..1 (ITU-R BT.2100-2, table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


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
    """Return the matrix from linear RGB to XYZ (SMPTE RP 177), 3 x 3; its second row gives luminance."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _CHROMATICITIES[primaries]]).T
    x, y = _D65
    return np.asarray(columns * np.linalg.solve(columns, (x / y, 1, (1 - x - y) / y)))


def _upper_bits(light: np.ndarray) -> np.ndarray:
    """Return the upper 16 bits of float32 values: sign, exponent and 7 bits of the fraction."""
    return light.view(np.uint32) >> 16


def _light_of_upper_bits() -> np.ndarray:
    """Return the middle of the values that share each of the `_upper_bits`; 0 for those beyond numbers."""
    middles = (np.arange(2**16, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    return np.nan_to_num(middles, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
