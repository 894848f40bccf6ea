"""H.264 whose pictures are coded as two fields each (PAFF, as camcorders write it), which x264 cannot make.

Macroblocks are uncoded samples (I_PCM) or copies (P_Skip), so that a writer of bits is all it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

GROUP = 10
"""Pictures from one IDR picture to the next; of each three the last two are used by no other."""
_MACROBLOCK = 16


def write_fields(path: Path, pictures: Sequence[np.ndarray]) -> Path:
    """Write `pictures` (uint8 RGB, sides multiples of 16 and 32) as a raw stream, their red as luma."""
    height, width = pictures[0].shape[:2]
    units = [_sequence_set(width, height), _PICTURE_SET]
    frame_number = 0
    for number, picture in enumerate(pictures):
        place = number % GROUP
        frame_number = 0 if place == 0 else frame_number
        is_reference = place % 3 == 0
        for is_bottom in (False, True):
            field = picture[int(is_bottom) :: 2, :, 0]
            is_copy = is_bottom and is_reference
            header = _slice_header(place, frame_number, is_reference, is_bottom, is_copy)
            units.append(_copies(header, field.size) if is_copy else _samples(header, field))
        # The next picture has the number after that of the last reference.
        frame_number += is_reference
    path.write_bytes(b"".join(b"\0\0\0\1" + unit for unit in units))
    return path


def _ue(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _unit(header: int, bits: str) -> bytes:
    return bytes([header]) + _bytes(bits + "1")


def _sequence_set(width: int, height: int) -> bytes:
    sizes = _ue(width // _MACROBLOCK - 1) + _ue(height // _MACROBLOCK // 2 - 1)
    numbering = _ue(0) + _ue(0) + _ue(0) + _ue(4) + _ue(1) + "0"
    return _unit(0x67, f"{77:08b}{0:08b}{30:08b}" + numbering + sizes + "0" + "0" + "1" + "00")


_PICTURE_SET = _unit(0x68, _ue(0) * 2 + "00" + _ue(0) * 3 + "000" + _ue(0) * 3 + "100")


def _slice_header(
    place: int, frame_number: int, is_reference: bool, is_bottom: bool, is_copy: bool
) -> tuple[int, str]:
    """Return (byte of the unit's header, bits of the slice's)."""
    is_idr = place == 0 and not is_bottom
    bits = _ue(0) + _ue(5 if is_copy else 7) + _ue(0) + f"{frame_number % 16:04b}1{int(is_bottom)}"
    bits += _ue(0) if is_idr else ""
    bits += f"{2 * place + is_bottom:08b}"
    bits += "00" if is_copy else ""
    bits += ("00" if is_idr else "0") if is_reference else ""
    return (0x40 if is_reference else 0) | (5 if is_idr else 1), bits + _ue(0) + _ue(1)


def _copies(header: tuple[int, str], n_samples: int) -> bytes:
    return _unit(header[0], header[1] + _ue(n_samples // _MACROBLOCK**2))


def _samples(header: tuple[int, str], field: np.ndarray) -> bytes:
    """Return the unit of a field; samples from 1 to 255 need no emulation prevention."""
    side = _MACROBLOCK
    blocks = field.reshape(field.shape[0] // side, side, -1, side).swapaxes(1, 2)
    luma = [block.tobytes() for row in blocks for block in row]
    grey = bytes([128]) * (side * side // 2)
    first = _bytes(header[1] + _ue(25))
    rest = b"".join(_bytes(_ue(25)) + block + grey for block in luma[1:])
    return bytes([header[0]]) + first + luma[0] + grey + rest + b"\x80"
