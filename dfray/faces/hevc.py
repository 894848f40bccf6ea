"""Properties of HEVC's coded pictures (ITU-T Rec. H.265, 7.3.1.2 and 7.4.2.2)."""

from __future__ import annotations

from dfray.faces.coded import DROPPABLE, ORDINARY, Coded
from dfray.faces.nal_units import unit_splitter

PLACE = 21
"""Byte of an HEVCDecoderConfigurationRecord that holds the length of the units' sizes (ISO/IEC 14496-15)."""


class HevcReader:
    """Reader of the packets of one stream."""

    def __init__(self, extradata: bytes) -> None:
        self._split = unit_splitter(extradata, PLACE)

    def read(self, data: bytes) -> Coded:
        """Return the properties of a packet.

        Raises:
            DamagedUnitError: it cannot be read as far as they stand.
        """
        has_parameters = False
        for at in self._split(data):
            kind, layer = data[at] >> 1 & 63, (data[at + 1] & 7) - 1
            if 16 <= kind <= 21:  # IDR, CRA and BLA pictures
                return Coded(is_start=True, recovers_after=0, has_parameters=has_parameters)
            if kind < 16:
                is_droppable = kind % 2 == 0
                if layer == 0 and not has_parameters:
                    return DROPPABLE if is_droppable else ORDINARY
                return Coded(is_droppable=is_droppable, layer=layer, has_parameters=has_parameters)
            has_parameters |= 32 <= kind <= 34
        return Coded(is_shown=False, has_parameters=has_parameters)
