"""A CSV file with a row for each video; `root` is the file.

    uri,label[,dataset,split,category,method,source_video,identity,
        identity_group,duration_s,kind,stride,licence]

`uri` (absolute, or relative to the CSV) and `label` (real or fake, 0 or 1) are required, the other columns
optional. A row without a split gets one by a hash of its identity, or else of its name; for a collection
that is only tested on, set `split: test` in the recipe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.readers.folder import split_of
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import VideoRow, label_of
from dfray.errors import ManifestError
from dfray.tables import REAL


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    default = corpus.dataset or os.path.splitext(os.path.basename(files.root))[0]
    for line, row in read_csv(files.root, ("uri", "label"), "Check corpora.root."):
        where = f"{files.root} line {line}"
        label = label_of(row["label"], where)
        stem = os.path.splitext(os.path.basename(row["uri"]))[0]
        category = row.get("category") or ("real" if label == REAL else "fake")
        method = row.get("method") or category
        dataset = row.get("dataset") or default
        yield {
            "video_id": f"{dataset}/{method}/{stem}",
            "uri": relative_to_list(files.root, row["uri"]),
            "dataset": dataset,
            "split": row.get("split") or split_of(row.get("identity") or stem),
            "label": label,
            "category": category,
            "method": method,
            "source_video": row.get("source_video") or None,
            "identity": row.get("identity") or None,
            "identity_group": row.get("identity_group") or None,
            "duration_s": _number(row, "duration_s", where),
            "licence": row.get("licence") or corpus.licence,
            "kind": row.get("kind") or "video",
            "stride": int(_number(row, "stride", where, least=1) or 1),
            "listed_in": where,
        }


def _number(row: dict[str, str], column: str, where: str, least: float = 0) -> float | None:
    text = row.get(column)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        raise ManifestError(f"{where}: {column} {text!r} is no number.") from None
    if not number >= least:
        raise ManifestError(f"{where}: {column} {text} is less than {least:g}.")
    return number


def relative_to_list(root: str, uri: str) -> str:
    """Return `uri` unchanged if it is absolute, else relative to the folder of the list `root`."""
    if storage.is_remote(uri) or os.path.isabs(uri):
        return uri
    return storage.join(root.rpartition("/")[0], uri)
