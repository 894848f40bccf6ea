"""CPU time of the checksums of face shards, written and read, against the same without.

    python -m tests.benchmarks.bench_checksums

Writing is ShardWriter's: pages with CRC-32 and the SHA-256 of the file, against the same file without both.
Reading is that of a training, row group after row group to arrays of pixels, against a reader that verifies
nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfray import storage
from dfray.faces.crop_codec import decode_images
from dfray.faces.shard_file import ShardFile
from dfray.tables import FACES
from tests.benchmarks.measure import holds, interleaved, use_one_core

FACES_WRITTEN, SIZE, REPEATS = 1024, 224, 9
GROUP = 64
OPTIONS = {"row_group_size": GROUP, "compression": "lz4", "use_dictionary": False}
WITH, WITHOUT = "with checksums", "without"


def table_of_crops() -> pa.Table:
    """FACES of smooth pictures with the noise of a video, about as compressible as real crops."""
    rng = np.random.default_rng(0)
    slopes = np.linspace(0, 200, SIZE, dtype=np.float32)[:, None, None]
    rows = []
    for number in range(FACES_WRITTEN):
        noise = rng.normal(0, 1.2, (SIZE, SIZE, 3)).astype(np.float32)
        picture = np.clip(slopes + 20 + noise, 0, 255).astype(np.uint8)
        row = {"video_id": f"a/b/{number // 32}", "frame_index": number % 32, "encoding": "rgb8"}
        rows.append(row | {"size_px": SIZE, "image": picture.tobytes()})
    names = ("video_id", "frame_index", "encoding", "size_px", "image")
    return FACES.from_rows(rows).select(names)


def main() -> int:
    """Print both ratios; exit with 1 if one is above its bound."""
    use_one_core()
    crops = table_of_crops()
    with tempfile.TemporaryDirectory() as folder:
        checked, plain = str(Path(folder, "checked.parquet")), str(Path(folder, "plain.parquet"))

        def write_checked() -> None:
            pq.write_table(crops, checked, write_page_checksum=True, **OPTIONS)
            storage.sha256(checked)

        def read_checked() -> None:
            file = ShardFile(checked)
            for group in range(file.num_row_groups):
                decode_images(file.read_row_group(group, use_threads=False))

        def read_plain() -> None:
            file = pq.ParquetFile(plain)
            for group in range(file.num_row_groups):
                decode_images(file.read_row_group(group, use_threads=False))

        written = interleaved(
            {WITH: write_checked, WITHOUT: lambda: pq.write_table(crops, plain, **OPTIONS)}, REPEATS
        )
        read = interleaved({WITH: read_checked, WITHOUT: read_plain}, REPEATS)
        size = Path(plain).stat().st_size
    for name, spent in (("written", written), ("read", read)):
        per_face = {
            way: f"{1e3 * seconds / FACES_WRITTEN:.3f} ms" for way, seconds in spent.items()
        }
        print(f"{name}, a face of {size / FACES_WRITTEN / 1e3:.0f} KB: {per_face}")
    bounds = [
        holds("writing with checksums over without", written[WITH] / written[WITHOUT], at_most=2),
        holds("reading with checksums over without", read[WITH] / read[WITHOUT], at_most=1.6),
    ]
    return 0 if all(bounds) else 1


if __name__ == "__main__":
    sys.exit(main())
