#!/usr/bin/env bash
# MediaPipe: the box of a face that is cut by the picture's left edge is too far to the right.
#
# Expected: for a face that reaches outside the picture, the box is either cut (right edge in place) or has a
#           negative origin.
# Seen:     the origin is set to 0 and the full width is kept, so the right edge moves by what lies outside, while the
#           keypoints stay in place. A crop around the centre of the box is off by half of that.
# Do:       centre on the keypoints, or shift the box back, where the origin is 0; a padded picture avoids it.
# Versions: mediapipe 1.2.2, with the short-range model of the wheel of 0.10.21 (later ones ship none). Needs
#           libGL. Takes two minutes.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "mediapipe==1.2.2" "numpy==2.4.6"
"$work/env/bin/pip" download --quiet --no-deps --dest "$work" "mediapipe==0.10.21"
model=mediapipe/modules/face_detection/face_detection_short_range.tflite
"$work/env/bin/python" -m zipfile -e "$work"/mediapipe-0.10.21-*.whl "$work/wheel"

"$work/env/bin/python" - "$work/wheel/$model" 2>"$work/log" <<'PY' || { tail -20 "$work/log"; exit 1; }
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

SIDE, LEFT, TOP = 256, 320, 112  # the head in a picture of 640 x 480


def draw_head():
    """Return a shaded head on grey, uint8 (480, 640, 3)."""
    y, x = np.mgrid[0:480, 0:640].astype(np.float32)
    x, y = (x - LEFT) / (SIDE / 2), (y - TOP - SIDE / 2) / (SIDE / 2)
    radius = (x / 0.7) ** 2 + (y / 0.98) ** 2
    light = 0.55 + 0.45 * np.sqrt(np.clip(1 - radius, 0, 1))
    picture = np.full((480, 640, 3), 120, np.float32)
    skin = np.array([205, 165, 138], np.float32)
    picture[radius < 1] = (skin * light[..., None])[radius < 1]

    def blob(cx, cy, rx, ry, color):
        picture[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = color

    picture[(radius < 1) & (y < -0.55 + 0.25 * x**2)] = (70, 50, 40)
    for sign in (-1, 1):
        blob(sign * 0.28, -0.3, 0.17, 0.035, (60, 42, 32))
        blob(sign * 0.28, -0.1, 0.13, 0.065, (240, 240, 240))
        blob(sign * 0.28, -0.1, 0.06, 0.06, (50, 35, 25))
    blob(0, 0.25, 0.13, 0.05, skin * 0.5)
    blob(0, 0.52, 0.24, 0.07, (170, 70, 70))
    return picture.astype(np.uint8)


options = vision.FaceDetectorOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]))


def detect(picture):
    """Return left edge, width and mean keypoint x of the one face, in pixels of the picture."""
    image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
    with vision.FaceDetector.create_from_options(options) as detector:
        (face,) = detector.detect(image).detections
    box, width = face.bounding_box, picture.shape[1]
    return box.origin_x, box.width, width * np.mean([point.x for point in face.keypoints])


picture = draw_head()
left, width, points = detect(picture)
cut = left + width // 5  # a fifth of the box is cut off
cut_left, cut_width, cut_points = detect(picture[:, cut:])
shift = (cut_left + cut_width / 2 - cut_points) - (left + width / 2 - points)
print(f"whole: x {left} to {left + width}, keypoints at {points:.0f}")
print(f"cut by {cut} px: x {cut_left} to {cut_left + cut_width}, keypoints at {cut_points:.0f};")
print(f"true box {left - cut} to {left + width - cut}; its centre moved by {shift:.0f} px")
assert cut_left == 0, "the behaviour has changed"
assert cut_width > 0.9 * width, "the behaviour has changed"
assert shift > 0.1 * width, "the behaviour has changed"
PY
