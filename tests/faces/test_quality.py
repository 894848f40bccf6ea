"""Sharpness falls as a face is blurred or was small, brightness as it is darkened."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfray.faces.quality import brightness, sharpness
from tests.helpers.heads import head_pictures

(HEAD,) = head_pictures(1, 224)


def test_sharpness_is_the_variance_of_the_second_differences_of_luma() -> None:
    luma = HEAD.astype(np.float64) @ [0.299, 0.587, 0.114]
    middle = luma[1:-1, 1:-1]
    second = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    assert sharpness(HEAD) == pytest.approx(second.var(), rel=0.05)


def test_a_blurred_face_and_one_that_was_small_are_less_sharp() -> None:
    blurred = [sharpness(cv2.GaussianBlur(HEAD, (0, 0), sigma)) for sigma in (1, 3)]
    small = cv2.resize(cv2.resize(HEAD, (40, 40)), (224, 224), interpolation=cv2.INTER_CUBIC)
    assert sharpness(HEAD) > blurred[0] > blurred[1]
    assert sharpness(small) < sharpness(HEAD) / 2


def test_brightness_is_the_mean_luma() -> None:
    assert brightness(np.full((8, 8, 3), 255, np.uint8)) == 255
    assert brightness(np.full((8, 8, 3), (255, 0, 0), np.uint8)) == pytest.approx(76, abs=1)
    assert brightness(HEAD // 4) == pytest.approx(brightness(HEAD) / 4, abs=1)
