"""The manifest: one row a video, built from the corpora, checked before any compute is spent.

Contradictions (two videos with one id, a person in two splits, an unknown label) are refused with the rows
named. Files that are missing or cannot be opened are counted and listed: a missing one is left out, an
unreadable one stays, so that extraction gives it its row with a reason.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.probe import probe
from dfray.datasets.readers import reader
from dfray.errors import ManifestError
from dfray.tables import CATEGORIES, FAKE, REAL, SPLITS, VIDEOS

_NAMED = 5
"""Rows that a refusal names before it only counts."""


@dataclass(frozen=True)
class Manifest:
    """VIDEOS of all corpora, with what is wrong with the files."""

    videos: pa.Table
    missing: list[str]
    """URIs that a corpus should hold and does not."""
    unreadable: dict[str, str]
    """video_id -> why its file cannot be opened; these stay in `videos`."""

    def counts(self) -> list[tuple[str, str, str, int]]:
        """(dataset, split, category, videos), in the order of dataset, split and category."""
        keys = zip(
            *(self.videos.column(c).to_pylist() for c in ("dataset", "split", "category")),
            strict=True,
        )
        order = lambda key: (key[0], SPLITS.index(key[1]), CATEGORIES.index(key[2]))  # noqa: E731
        counted = Counter(keys)
        return [(*key, counted[key]) for key in sorted(counted, key=order)]


def build_manifest(
    corpora: Iterable[CorpusSection], progress: Callable[[int, int], None] | None = None
) -> Manifest:
    """Read the corpora, look for every file and open its container.

    Args:
        progress: called with (files opened, files in all).

    Raises:
        ManifestError: the corpora contradict themselves or each other, or hold no video.
    """
    rows = [row for corpus in corpora for row in reader(corpus.reader)(corpus)]
    for row in rows:
        row["uri"] = storage.absolute(row["uri"])
    rows, missing = _present(rows)
    if not rows:
        raise ManifestError(
            f"No video is there; {len(missing)} are missing, the first {missing[:1]}.",
            "Check corpora.root (and corpora.compression).",
        )
    validate(rows)
    unreadable: dict[str, str] = {}
    with ThreadPoolExecutor(16) as pool:
        for done, (row, found) in enumerate(zip(rows, pool.map(_probe, rows), strict=True), 1):
            if found.problem:
                unreadable[row["video_id"]] = found.problem
            row["duration_s"] = row.get("duration_s") or found.duration_s
            if progress:
                progress(done, len(rows))
    return Manifest(VIDEOS.from_rows(rows), missing, unreadable)


def write_manifest(manifest: Manifest, uri: str) -> None:
    """Write VIDEOS as Parquet, atomically."""
    buffer = io.BytesIO()
    pq.write_table(manifest.videos, buffer, compression="zstd")
    storage.write_bytes(buffer.getvalue(), uri)


def read_manifest(uri: str) -> pa.Table:
    """VIDEOS from the Parquet file at `uri`, checked.

    Raises:
        SchemaError: a column is missing or has another type.
        ManifestError: the rows contradict each other.
    """
    try:
        table = pq.read_table(pa.BufferReader(storage.read_bytes(uri)))
    except pa.ArrowInvalid as error:
        raise ManifestError(f"{uri} is not a Parquet file: {error}.") from error
    table = VIDEOS.conform(table, uri)
    validate(table.to_pylist())
    return table


def fingerprint(videos: pa.Table) -> str:
    """16 hex digits naming the manifest's content, whatever the order of its rows."""
    import hashlib

    kept = ("video_id", "split", "label", "category", "identity")
    rows = sorted(zip(*(videos.column(name).to_pylist() for name in kept), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def validate(rows: list[dict]) -> None:
    """Refuse rows that contradict themselves or each other; the message names them.

    Raises:
        ManifestError: duplicate ids, a person in two splits, an unknown split, label or category.
    """
    for column, known in (("split", SPLITS), ("label", (0, 1)), ("category", CATEGORIES)):
        wrong = [f"{r['video_id']} ({r[column]!r})" for r in rows if r[column] not in known]
        if wrong:
            told = ", ".join(map(str, known))
            raise ManifestError(f"Unknown {column} of {_some(wrong)}.", f"It is one of: {told}.")
    wrong = [r["video_id"] for r in rows if (r["category"] == "real") != (r["label"] == 0)]
    if wrong:
        raise ManifestError(
            f"Label and category contradict each other in {_some(wrong)}.",
            "Category real goes with label 0, every other with 1.",
        )
    _refuse_duplicates(rows)
    _refuse_crossing(rows)


def require_both_classes(videos: pa.Table, splits: Iterable[str]) -> None:
    """Refuse VIDEOS from which nothing can be learned.

    Raises:
        ManifestError: one of `splits` is empty or holds one class only.
    """
    pairs = set(zip(videos["split"].to_pylist(), videos["label"].to_pylist(), strict=True))
    for split in splits:
        lacking = [
            name for label, name in ((REAL, "real"), (FAKE, "fake")) if (split, label) not in pairs
        ]
        if lacking:
            raise ManifestError(
                f"Split {split} has no {' and no '.join(lacking)} video.",
                "Training and validation need both classes: see `dfray manifest check`.",
            )


def _refuse_duplicates(rows: list[dict]) -> None:
    uris = defaultdict(list)
    for row in rows:
        uris[row["video_id"]].append(row["uri"])
    twice = [f"{key} ({' and '.join(found)})" for key, found in uris.items() if len(found) > 1]
    if twice:
        raise ManifestError(
            f"Two videos share an id: {_some(twice)}.",
            "An id is dataset/method/stem: rename a file, or name another dataset or method.",
        )


def _refuse_crossing(rows: list[dict]) -> None:
    splits = defaultdict(set)
    for row in rows:
        if row.get("identity"):
            splits[row["dataset"], row["identity"]].add(row["split"])
    crossing = {key for key, found in splits.items() if len(found) > 1}
    if crossing:
        named = [
            f"{r['video_id']} ({r['identity']} in {r['split']})"
            for r in rows
            if (r["dataset"], r.get("identity")) in crossing
        ]
        raise ManifestError(
            f"{len(crossing)} identity(ies) are in more than one split: {_some(named)}.",
            "A person seen in training must not be tested on: give all their videos one split.",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _present(rows: list[dict]) -> tuple[list[dict], list[str]]:
    """Rows whose files are there and URIs that are not, from one listing a folder."""
    there: dict[str, set[str]] = {}
    present, missing = [], []
    for row in rows:
        folder = row["uri"].rpartition("/")[0]
        if folder not in there:
            there[folder] = set(storage.list_files(folder))
        if row["uri"] in there[folder]:
            present.append(row)
        else:
            missing.append(row["uri"])
    return present, missing


def _probe(row: dict):
    return probe(row["uri"])
