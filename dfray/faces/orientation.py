"""Orientation of decoded pictures: the display matrix that a container or a bitstream states."""

from __future__ import annotations

import math

import av
import av.filter
import numpy as np

Axes = tuple[int, int, int, int]
"""(a, b, c, d) of a display matrix: on the screen the x axis of the picture points to (a, b), its y axis to
(c, d)."""
UPRIGHT: Axes = (1, 0, 0, 1)
"""Axes where no matrix is stated."""

_UNNAMED_TYPES = range(28, 64)
"""Types of side data beyond those that PyAV 18.1 names; FFmpeg 8.1 defines the first few of them."""


def display_axes(frame: av.VideoFrame) -> Axes:
    """Return the axes of the frame's display matrix; those of an upright picture if it has none.

    PyAV names all side data of a frame when it is asked for one kind, and raises an error on a kind that
    it has no name for, such as EXIF. Those are taken off a reference to the frame.
    """
    try:
        side_data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        side_data = _without_unnamed(frame).side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32, count=5).tolist()
    return a, b, c, d


def clockwise_deg(axes: Axes) -> int:
    """Return by how much `upright` turns a picture clockwise, after mirroring it: 0, 90, 180 or 270."""
    a, b, c, d = axes
    sign = -1 if a * d < b * c else 1
    return round(math.degrees(math.atan2(sign * b, sign * a)) / 90) * 90 % 360


def upright(image: np.ndarray, axes: Axes) -> np.ndarray:
    """Return `image` turned and mirrored as its axes ask, in steps of 90 degrees, contiguous."""
    x_sign, b, c, y_sign = axes
    if abs(b) > abs(x_sign):
        image = image.transpose(1, 0, 2)
        x_sign, y_sign = c, b
    image = image[:: -1 if y_sign < 0 else 1, :: -1 if x_sign < 0 else 1]
    return np.ascontiguousarray(image)


def _without_unnamed(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a reference to the frame that lacks the side data that PyAV cannot name."""
    graph = av.filter.Graph()
    filters = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        ),
        *(graph.add("sidedata", f"mode=delete:type={number}") for number in _UNNAMED_TYPES),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*filters).configure()
    graph.vpush(frame)
    return graph.vpull()
