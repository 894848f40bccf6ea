#!/usr/bin/env bash
# PyAV: a frame that carries EXIF cannot be asked for its display matrix.
#
# Expected: frame.side_data.get("DISPLAYMATRIX") gives the matrix, or None; what else the frame carries does not matter.
# Seen:     ValueError: 31 is not a valid Type. The container names all side data of the frame first, and FFmpeg 8 has
#           kinds that PyAV has no name for. Motion JPEG of cameras carries EXIF: the whole video is lost.
# Do:       take the unnamed kinds off a reference to the frame with FFmpeg's filter `sidedata` (its type may be a number).
# Versions: av 18.1.0 (FFmpeg 8.1), numpy 2.4.6. Takes half a minute.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "av==18.1.0" "numpy==2.4.6"

"$work/env/bin/python" - "$work/clip.avi" <<'PY'
import struct
import sys

import av
import numpy as np

path = sys.argv[1]
# A TIFF header and one entry: orientation (0x0112), a short, 6: the top of the picture is on its right.
entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
with av.open(path, "w") as out:
    stream = out.add_stream("mjpeg", rate=5)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))):
        jpeg = bytes(packet)
        tagged = av.Packet(jpeg[:2] + segment + jpeg[2:])
        tagged.pts = tagged.dts = 0
        tagged.time_base, tagged.stream, tagged.is_keyframe = packet.time_base, stream, True
        out.mux(tagged)

with av.open(path) as container:
    frame = next(container.decode(video=0))
print(f"decoded: {frame.width} x {frame.height}")
try:
    frame.side_data.get("DISPLAYMATRIX")
except ValueError as error:
    print(f"frame.side_data.get('DISPLAYMATRIX'): ValueError: {error}")
else:
    sys.exit("It can be asked now.")

graph = av.filter.Graph()
source = graph.add_buffer(
    width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
)
without = graph.add("sidedata", "mode=delete:type=31")
graph.link_nodes(source, without, graph.add("buffersink")).configure()
graph.vpush(frame)
matrix = graph.vpull().side_data.get("DISPLAYMATRIX")
print("without kind 31:", np.frombuffer(bytes(matrix), np.int32)[:5].tolist())
PY
