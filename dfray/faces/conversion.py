"""Conversion of decoded video frames to upright 8-bit RGB: the only one of videos."""

from __future__ import annotations

import av
import av.video.reformatter
import numpy as np

from dfray.faces.orientation import Axes, display_axes, upright


class PictureConverter:
    """Converter of the frames of one video, which share what is prepared for them."""

    def __init__(self) -> None:
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._axes: dict[int, Axes] = {}

    def picture(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the upright picture, uint8 (height, width, 3) RGB."""
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1)
        if frame.rotation not in self._axes:
            # Once only: asking a frame for its side data keeps it in memory, in a cycle.
            self._axes[frame.rotation] = display_axes(frame)
        return upright(rgb.to_ndarray(), self._axes[frame.rotation])
