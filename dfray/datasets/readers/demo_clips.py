"""The demo's generated clips (dfray.datasets.demo): <root>/clips.csv and <root>/videos/*.mp4."""

from __future__ import annotations

from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import label_of

_NEEDED = (
    "stem",
    "dataset",
    "label",
    "category",
    "method",
    "identity",
    "source_video",
    "split",
    "duration_s",
)


def read(corpus: CorpusSection, files: Files) -> Iterator[dict]:
    index = files.uri("clips.csv")
    rows = list(read_csv(index, _NEEDED, "`dfray run` generates the demo's clips."))
    names = {row["stem"]: corpus.dataset or row["dataset"] for _, row in rows}
    ids = {row["stem"]: f"{names[row['stem']]}/{row['method']}/{row['stem']}" for _, row in rows}
    for line, row in rows:
        yield {
            "video_id": ids[row["stem"]],
            "uri": files.uri("videos", f"{row['stem']}.mp4"),
            "dataset": names[row["stem"]],
            "split": row["split"],
            "label": label_of(row["label"], f"{index} line {line}"),
            "category": row["category"],
            "method": row["method"],
            "source_video": ids.get(row["source_video"]),
            "identity": row["identity"],
            "duration_s": float(row["duration_s"]),
            "licence": corpus.licence or "Apache-2.0 (generated)",
        }
