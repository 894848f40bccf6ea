#!/usr/bin/env bash
# PyAV / FFmpeg: skip_frame="NONREF" saves nothing for VP9.
#
# Expected: a decoder that is asked to leave out frames that no other frame refers to decodes fewer frames, in
#           every codec that has such frames.
# Seen:     H.264 returns about half of the frames, and those are identical to the ones of a full decode. VP9
#           accepts the option and returns every frame.
# Do:       sample by presentation time, never by counting decoded frames, and expect no saving for VP9.
# Versions: PyAV 18.1.0 (FFmpeg 8.1), NumPy 2.4.6. Takes about a minute.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "av==18.1.0" "numpy==2.4.6"

"$work/env/bin/python" - "$work" <<'PY'
import sys

import av
import numpy as np

FRAMES = 60
CODECS = {
    "h264.mp4": ("libx264", {"bf": "1", "b_strategy": "0"}),
    "vp9.webm": ("libvpx-vp9", {"lag-in-frames": "16", "auto-alt-ref": "1", "cpu-used": "8"}),
}


def write(path, codec, options):
    texture = np.random.default_rng(0).integers(0, 255, (30, 80, 3), dtype=np.uint8)
    picture = texture.repeat(8, 0).repeat(8, 1)
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(FRAMES):
            pixels = np.ascontiguousarray(picture[:, 3 * index : 3 * index + 320])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode())


def read(path, skip):
    with av.open(path) as file:
        file.streams.video[0].codec_context.skip_frame = skip
        return {frame.pts: frame.to_ndarray() for frame in file.decode(video=0)}


counts = {}
for name, (codec, options) in CODECS.items():
    path = f"{sys.argv[1]}/{name}"
    write(path, codec, options)
    every, fewer = read(path, "DEFAULT"), read(path, "NONREF")
    assert all(np.array_equal(every[pts], pixels) for pts, pixels in fewer.items())
    counts[codec] = len(every), len(fewer)
    print(f"{codec}: {len(every)} frames; {len(fewer)} with skip_frame=NONREF")
assert counts["libx264"][1] < 0.6 * FRAMES, "H.264: the behaviour has changed"
assert counts["libvpx-vp9"] == (FRAMES, FRAMES), "VP9: the behaviour has changed"
PY
