"""Properties of a video stream that its summary carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av  # the driver and the extraction worker know these properties, and decode nothing

UNSTATED = (0, 2)
"""Numbers of ITU-T H.273, tables 2 to 4, that stand for no statement; matrix 0 is that of RGB."""


@dataclass(frozen=True)
class StreamProperties:
    """Properties of a video stream; none where they are not stated or not known.

    Attributes:
        codec: as FFmpeg names its decoder, such as hevc.
        width, height: of the coded picture, px.
        fps: pictures a second, on average.
        bit_rate: bits a second; of the whole container, sound included, where it states no other.
        pixel_aspect: width of a coded pixel over its height.
        transfer: transfer characteristics as FFmpeg names them, such as bt709, smpte2084 (PQ) or
            arib-std-b67 (HLG).
        interlacing: progressive, interlaced or mixed, as the sampled frames say.
        rotation_deg: angle by which the coded picture was turned clockwise: 0, 90, 180 or 270.
        duration_s: length, as the header states or FFmpeg estimates it.
    """

    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    bit_rate: int | None = None
    pixel_aspect: float | None = None
    transfer: str | None = None
    interlacing: str | None = None
    rotation_deg: int | None = None
    duration_s: float | None = None


OnStream = Callable[[StreamProperties], None]
"""A function that takes the properties of a stream when they are read."""


def header_properties(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> StreamProperties:
    """Return the properties that are known before anything is decoded."""
    from dfray.datasets.container import duration_s

    context = stream.codec_context
    rate, aspect = stream.average_rate, stream.sample_aspect_ratio
    return StreamProperties(
        codec=context.name,
        width=context.width or None,
        height=context.height or None,
        fps=float(rate) if rate else None,
        bit_rate=context.bit_rate or container.bit_rate or None,
        pixel_aspect=float(aspect) if aspect else None,
        transfer=transfer_name(context.color_trc),
        duration_s=duration_s(container, stream),
    )


def transfer_name(number: int) -> str | None:
    """Return the name of transfer characteristics; their number in ITU-T H.273 if they have no name."""
    if number in UNSTATED:
        return None
    from av.video.reformatter import ColorTrc

    names = {member.value: member.name.lower().replace("_", "-") for member in ColorTrc}
    return names.get(number, str(number))
