"""Landmarks of a detected face: the 468 points of MediaPipe's face mesh.

The region is the one that MediaPipe's graph takes from a detection: the square of 1.5 times the box,
turned so that the eyes lie level. MediaPipe's own face landmarker wants a newer model (478 points) that
no package ships; OpenCV reads this one, to within 1e-4 px of what LiteRt computes from it.
"""

from __future__ import annotations

import math

import numpy as np

from dfray.errors import ModelFileError
from dfray.faces.face_detector import Detection
from dfray.faces.model_file import landmark_model_path

POINTS = 468
REGION_RATIO = 1.5
MIN_LOGIT = 0.0
"""Lowest logit of the model that the input is a face: a probability of 0.5, as in MediaPipe's graph."""
_INPUT_PX = 192
_POINTS, _PRESENCE = "conv2d_21", "conv2d_31"  # the model's outputs


class LandmarkFinder:
    """The landmark model.

    Args:
        detector_model: `faces.detector_model`; the model's file may lie in the same folder.

    Raises:
        ModelFileError: the model is missing, not the expected one, or cannot be loaded.
    """

    def __init__(self, detector_model: str | None = None) -> None:
        import cv2

        path = landmark_model_path(detector_model)
        try:  # the new engine knows the first output only
            self._net = cv2.dnn.readNetFromTFLite(path, cv2.dnn.ENGINE_CLASSIC)
        except cv2.error as error:
            raise ModelFileError(
                f"OpenCV cannot load the landmark model {path}: {error}.",
                "Remove it and run `dfray models fetch`.",
            ) from error

    def find(self, picture: np.ndarray, face: Detection) -> np.ndarray | None:
        """Return the landmarks of `face`; none if the model gives no face a higher probability.

        Args:
            picture: uint8 (height, width, 3) RGB.

        Returns:
            float32 (468, 2), x and y in px of `picture` from its upper left edge; they may lie outside.
        """
        turn, centre = _region(face, REGION_RATIO)
        points, logit = self._forward(picture, turn, centre)
        if logit < MIN_LOGIT:
            return None
        offsets = points.reshape(POINTS, 3)[:, :2] - _INPUT_PX / 2
        landmarks: np.ndarray = (offsets @ turn.T + centre).astype(np.float32)
        return landmarks

    def presence(self, picture: np.ndarray, face: Detection, scale: float = 1.0) -> float:
        """Return the model's logit that a face is there; `scale` widens the region that it sees."""
        return self._forward(picture, *_region(face, scale * REGION_RATIO))[1]

    def _forward(
        self, picture: np.ndarray, turn: np.ndarray, centre: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Return the points, px of the model's input, and the logit of a face."""
        import cv2

        half_px = np.array((0.5, 0.5))  # OpenCV counts from the middle of the first pixel
        shift = centre - half_px - turn @ (_INPUT_PX / 2 - half_px)
        region = cv2.warpAffine(
            picture,
            np.column_stack((turn, shift)),
            (_INPUT_PX, _INPUT_PX),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        self._net.setInput(cv2.dnn.blobFromImage(region, 1 / 255))
        points, logit = self._net.forward((_POINTS, _PRESENCE))
        return points, float(logit.item())


def _region(face: Detection, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the map from px of the model's input to px of the picture (2, 2), and the centre (2,)."""
    x, y, width, height = face.box
    right_eye, left_eye = np.reshape(face.keypoints, (6, 2))[:2]
    across, down = left_eye - right_eye
    angle = math.atan2(down, across)
    scale = ratio * max(width, height) / _INPUT_PX
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return np.array(((cos, -sin), (sin, cos))), np.array((x + width / 2, y + height / 2))
