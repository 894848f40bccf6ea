"""Quality of a face crop as a picture: how sharp and how bright it is."""

from __future__ import annotations

import numpy as np


def sharpness(crop: np.ndarray) -> float:
    """Return the variance of the Laplacian of the luma, by which a blurred picture is near 0.

    As Pech-Pacheco and others have it (ICPR 2000, vol. 3, 314-317), with the 3 x 3 kernel of four neighbours.
    Crops of one size compare; a small face that was enlarged counts as blurred, as the network gets it.

    Args:
        crop: uint8 (S, S, 3) RGB.
    """
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def brightness(crop: np.ndarray) -> float:
    """Return the mean luma of a crop, uint8 (S, S, 3) RGB, by ITU-R BT.601's weights: 0 black, 255 white."""
    import cv2

    return float(cv2.mean(cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY))[0])
