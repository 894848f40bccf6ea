#!/usr/bin/env bash
# FFmpeg: white of limited-range video, converted to RGB of more than 8 bits, is not the largest code.
#
# Expected: Y = 940 of 10 bits, the white of limited range, becomes 4095 of 12 bits and 65535 of 16, as it becomes 255
#           of 8 bits from Y = 235; dividing by the largest code gives a signal of 1.
# Seen:     4080 and 65283: 255 of 8 bits, moved up. PQ and HLG footage read so is 0.4 % of the signal too dark, which
#           is 2 % of the light at SDR white; of full range white is the largest code of the source, moved up.
# Do:       divide by 255 * 2 ** (bits - 8) where the source has limited range.
# Versions: av 18.1.0 (FFmpeg 8.1), numpy 2.4.6. Takes half a minute.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "av==18.1.0" "numpy==2.4.6"

"$work/env/bin/python" - <<'PY'
import sys

import av
import numpy as np

LIMITED, FULL, BT2020 = 1, 2, 9


def field(luma, colour_range):
    """Return a grey frame of 10 bits, 64 x 64."""
    frame = av.VideoFrame(64, 64, "yuv444p10le")
    for plane, value in zip(frame.planes, (luma, 512, 512)):
        plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
    frame.color_range, frame.colorspace = colour_range, BT2020
    return frame


def white(frame, pixel_format):
    return int(frame.reformat(format=pixel_format).to_ndarray()[32, 32, 0])


limited = [white(field(940, LIMITED), name) for name in ("gbrp12le", "gbrp16le")]
full = [white(field(1023, FULL), name) for name in ("gbrp12le", "gbrp16le")]
print(f"limited range, Y = 940:  {limited[0]} of 4095, {limited[1]} of 65535")
print(f"full range,    Y = 1023: {full[0]} of 4095, {full[1]} of 65535")
if limited[0] == 4095 or limited[1] == 65535:
    sys.exit("White is the largest code now.")


def pq_light(signal):
    """Return cd/m2 of a PQ signal (SMPTE ST 2084)."""
    root = signal ** (32 / 2523)
    return 10_000 * ((root - 3424 / 4096) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)


signal = 0.58069  # of 203 cd/m2, SDR white in HDR (ITU-R BT.2408)
code = white(field(round(64 + 876 * signal), LIMITED), "gbrp12le")
print(f"203 cd/m2 in PQ: {pq_light(code / 4095):.1f} by the largest code, {pq_light(code / 4080):.1f} by 4080")
PY
