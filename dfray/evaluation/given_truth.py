"""Truth about videos: a list of labels, or a manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dfray import storage
from dfray.datasets.named_rows import named_rows, place_in
from dfray.datasets.readers.rows import label_of
from dfray.errors import UserError
from dfray.tables import SPLITS, Row

_OPTIONAL = ("dataset", "split", "category", "method")


@dataclass(frozen=True)
class Truth:
    """What is known of one video; the fields but `place` are as in VIDEOS."""

    place: str
    video_id: str
    label: int
    dataset: str
    category: str
    method: str
    split: str


@dataclass(frozen=True)
class Truths:
    """Truth about the videos of one split.

    Attributes:
        videos: one for each `video_id`; a manifest may list a file in several datasets.
        n_repeated: rows beside the first of their video, with the same truth.
        other_splits: rows that are of another split, by its name.
    """

    videos: tuple[Truth, ...]
    n_repeated: int
    other_splits: Counter[str]


def read_labels(uri: str, split: str) -> Truths:
    """Return the truth in a CSV, Parquet or JSON-lines file with a row for each video.

    A row has `label` (real or fake, 0 or 1) and the video's `uri`, `video` or `input`, absolute or relative
    to the file; optional are `dataset`, `method`, `category` and `split`.

    Args:
        split: rows that state another are left out.

    Raises:
        UserError: it is no such file, or has two labels of a video.
    """
    return _truths(_label_rows(storage.absolute(uri)), split, uri)


def truths_of_manifest(manifest: pa.Table, split: str, source: str) -> Truths:
    """Return the truth about a split's videos by VIDEOS.

    Raises:
        UserError: two rows of a file contradict each other.
    """
    rows = manifest.to_pylist()
    return _truths(
        (Truth(storage.absolute(row["uri"]), **_kept(row)) for row in rows), split, source
    )


def _kept(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("video_id", "label", *_OPTIONAL)}


def _label_rows(uri: str) -> Iterator[Truth]:
    stem = os.path.splitext(os.path.basename(uri))[0]
    for number, row in enumerate(named_rows(uri, ("label", *_OPTIONAL)), 1):
        where = f"{uri}, row {number}"
        if "label" not in row:
            raise UserError(
                f"{uri} has no column label.", "Give each video's label: real or fake, 0 or 1."
            )
        place, label = place_in(row, uri, number), label_of(str(row["label"]), where)
        category = row.get("category") or ("fake" if label else "real")
        yield Truth(
            place=place,
            video_id=place,
            label=label,
            dataset=row.get("dataset") or stem,
            category=category,
            method=row.get("method") or category,
            split=_split(row.get("split"), where),
        )


def _split(stated: object, where: str) -> str:
    """Return the split that a row states; empty: it states none."""
    if stated and stated not in SPLITS:
        raise UserError(f"{where}: there is no split {stated!r}.", f"It is {', '.join(SPLITS)}.")
    return str(stated or "")


def _truths(rows: Iterable[Truth], split: str, source: str) -> Truths:
    found: dict[str, Truth] = {}
    label_at: dict[str, int] = {}
    n_repeated, others = 0, Counter[str]()
    for row in rows:
        if row.split not in ("", split):
            others[row.split] += 1
            continue
        if label_at.setdefault(row.place, row.label) != row.label:
            raise UserError(
                f"{source} has two labels of {row.place}: real and fake.",
                "Keep the row that is right.",
            )
        n_repeated += found.setdefault(row.video_id, row) is not row
    if not found:
        stated = ", ".join(f"{count:,} of {name}" for name, count in others.items())
        raise UserError(
            f"{source} has no videos of the {split} split{f', but {stated}' if stated else ''}.",
            "Name labels of the videos that were scored.",
        )
    return Truths(tuple(found.values()), n_repeated, others)
