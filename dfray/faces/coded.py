"""Properties of a coded picture that its packet tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coded:
    """Properties of one packet.

    Attributes:
        is_shown: it holds a picture that is meant to be shown.
        is_start: decoding from here on gives what a decoding of the whole gives, but for the pictures that
            are decoded after this one and shown before it (leading pictures).
        recovers_after: packets from here to where damage before this one no longer shows; none if it stays.
        is_droppable: no other picture needs it.
        layer: temporal layer; pictures of a higher one may need even a droppable one.
        has_parameters: it carries parameter sets that later pictures may need.
        has_gap: pictures that it may need are missing before it.
        completes_picture: it holds the second field of the picture whose first one is in the packet before.
        is_between: shown before a picture that is decoded before it (a B-picture of MPEG-1, -2, -4).
        number: place in the order of presentation, of pictures that are numbered anew in each group.
        opens_group: the numbers begin anew.
    """

    is_shown: bool = True
    is_start: bool = False
    recovers_after: int | None = None
    is_droppable: bool = False
    layer: int = 0
    has_parameters: bool = False
    has_gap: bool = False
    completes_picture: bool = False
    is_between: bool = False
    number: int | None = None
    opens_group: bool = False


ORDINARY = Coded()
DROPPABLE = Coded(is_droppable=True)
