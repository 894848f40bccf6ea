"""Generated clips of the demo (dfray.demo).

    clips.csv          a row for each clip: labels, split, person, duration
    videos/STEM.mp4

`dfray run` writes both; a row's split is used unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import VideoRow, label_of


class ClipRow(TypedDict):
    """One row of clips.csv.

    `source_video`: the stem of the clip that a fake was made from; empty for a real one.
    """

    stem: str
    dataset: str
    label: int
    category: str
    method: str
    identity: str
    source_video: str
    split: str
    duration_s: float


COLUMNS = tuple(ClipRow.__annotations__)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    index = files.uri("clips.csv")
    lines = read_csv(index, COLUMNS, "`dfray run` generates the demo's clips.")
    return video_rows(corpus, files, (_clip(row, f"{index} line {line}") for line, row in lines))


def _clip(row: dict[str, str], where: str) -> ClipRow:
    return {
        "stem": row["stem"],
        "dataset": row["dataset"],
        "label": label_of(row["label"], where),
        "category": row["category"],
        "method": row["method"],
        "identity": row["identity"],
        "source_video": row["source_video"],
        "split": row["split"],
        "duration_s": float(row["duration_s"]),
    }


def video_rows(corpus: CorpusSection, files: Files, clips: Iterable[ClipRow]) -> Iterator[VideoRow]:
    """Yield the rows of VIDEOS for `clips`, without a look at the files."""
    clips = list(clips)
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
