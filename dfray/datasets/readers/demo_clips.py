"""The demo's generated clips (dfray.demo): <root>/clips.csv and <root>/videos/*.mp4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import label_of

COLUMNS = (
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
    clips = read_csv(index, COLUMNS, "`dfray run` generates the demo's clips.")
    return video_rows(
        corpus,
        files,
        [
            row
            | {
                "label": label_of(row["label"], f"{index} line {line}"),
                "duration_s": float(row["duration_s"]),
            }
            for line, row in clips
        ],
    )


def video_rows(
    corpus: CorpusSection, files: Files, clips: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """What `read` yields of `clips`, rows of clips.csv; no file is looked for."""
    names = {row["stem"]: corpus.dataset or row["dataset"] for row in clips}
    ids = {row["stem"]: f"{names[row['stem']]}/{row['method']}/{row['stem']}" for row in clips}
    for row in clips:
        yield {
            "video_id": ids[row["stem"]],
            "uri": files.uri("videos", f"{row['stem']}.mp4"),
            "dataset": names[row["stem"]],
            "split": row["split"],
            "label": row["label"],
            "category": row["category"],
            "method": row["method"],
            "source_video": ids.get(row["source_video"]),
            "identity": row["identity"],
            "duration_s": row["duration_s"],
            "licence": corpus.licence or "Apache-2.0 (generated)",
        }
