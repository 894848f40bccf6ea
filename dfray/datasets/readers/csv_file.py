"""A CSV with a row for each video; `root` is the file.

Columns: `uri` (absolute, or relative to the CSV) and `label` (real or fake, 0 or 1) are needed; `dataset`,
`split`, `category`, `method`, `source_video`, `identity`, `duration_s` and `licence` are used where they
are. Without a split a row is put into one by a hash of its identity, or else of its name.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.readers.folder import split_of
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL

_LABELS = {"real": REAL, "0": REAL, "fake": FAKE, "1": FAKE}


def read(corpus: CorpusSection) -> Iterator[dict]:
    default = corpus.dataset or os.path.splitext(os.path.basename(corpus.root))[0]
    for line, row in rows_of(corpus.root, needed=("uri", "label")):
        label = label_of(row["label"], f"{corpus.root} line {line}")
        stem = os.path.splitext(os.path.basename(row["uri"]))[0]
        category = row.get("category") or ("real" if label == REAL else "fake")
        method = row.get("method") or category
        dataset = row.get("dataset") or default
        yield {
            "video_id": f"{dataset}/{method}/{stem}",
            "uri": beside(corpus.root, row["uri"]),
            "dataset": dataset,
            "split": row.get("split") or split_of(row.get("identity") or stem),
            "label": label,
            "category": category,
            "method": method,
            "source_video": row.get("source_video") or None,
            "identity": row.get("identity") or None,
            "duration_s": float(row["duration_s"]) if row.get("duration_s") else None,
            "licence": row.get("licence") or corpus.licence,
        }


def rows_of(uri: str, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV with their line numbers.

    Raises:
        ManifestError: a needed column is missing, or the file is not UTF-8 text.
    """
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{uri} is not UTF-8 text: {error}.") from error
    table = csv.DictReader(io.StringIO(text))
    missing = [name for name in needed if name not in (table.fieldnames or [])]
    if missing:
        raise ManifestError(
            f"{uri} lacks the column(s) {', '.join(missing)}.",
            f"It has: {', '.join(table.fieldnames or []) or 'none'}.",
        )
    for row in table:
        yield table.line_num, row


def label_of(text: str, where: str) -> int:
    try:
        return _LABELS[text.strip().lower()]
    except KeyError:
        raise ManifestError(
            f"{where}: unknown label {text!r}.", "A label is real or fake, 0 or 1."
        ) from None


def beside(root: str, uri: str) -> str:
    """`uri` as it is if absolute, else relative to the folder of `root`."""
    if storage.is_remote(uri) or os.path.isabs(uri):
        return uri
    return storage.join(root.rpartition("/")[0] or ".", uri)
