"""The manifest: one row a video, built from the corpora, checked before any compute is spent.

Contradictions (two videos with one id, a person in two splits, two lists that give a video two labels) are
refused with the rows named. Files that are missing or cannot be opened are counted and listed: a missing
one is left out, an unreadable one stays, so that extraction gives it its row with a reason.

A corpus is listed in pages and its files are not asked for one by one. Opening each of 200,000 on s3 takes
600,000 requests and tells little before the extraction opens them anyway; so a manifest opens OPENED files
of each dataset, for their lengths, and only `dfray manifest check` opens all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import pyarrow as pa

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.probe import probe
from dfray.datasets.published import Comparison, Published, compare
from dfray.datasets.readers import reader
from dfray.datasets.readers.rows import LeftOut
from dfray.errors import ManifestError
from dfray.tables import CATEGORIES, FAKE, KINDS, REAL, SPLITS, VIDEOS

OPENED = 1000
"""Files of each dataset that are opened while a manifest is built."""
_NAMED = 5
"""Rows that a refusal names before it only counts."""
_OPEN_AT_ONCE = 16


class Progress(Protocol):
    """Told (steps done, steps in all, what is being done)."""

    def __call__(self, done: int, total: int, detail: str) -> None: ...


@dataclass(frozen=True)
class Manifest:
    """VIDEOS of all corpora, with what is wrong with the files.

    Attributes:
        missing: URIs that a corpus should hold and does not.
        unreadable: video_id -> why its file cannot be opened; these stay in `videos`.
        opened: how many files were opened.
        left_out: videos that the rules of a corpus, or `only`, leave out, by dataset and reason.
        published: by dataset, how many videos it should hold.
    """

    videos: pa.Table
    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    opened: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    published: dict[str, Published] = field(default_factory=dict)

    def counts(self) -> list[tuple[str, str, str, int]]:
        """(dataset, split, category, videos), in the order of dataset, split and category."""
        keys = zip(
            *(self.videos.column(c).to_pylist() for c in ("dataset", "split", "category")),
            strict=True,
        )
        order = lambda key: (key[0], SPLITS.index(key[1]), CATEGORIES.index(key[2]))  # noqa: E731
        counted = Counter(keys)
        return [(*key, counted[key]) for key in sorted(counted, key=order)]

    def comparisons(self) -> list[Comparison]:
        """What was found of each corpus against what is published."""
        return compare(self.videos, self.published)


def build_manifest(
    corpora: Iterable[CorpusSection],
    progress: Progress | None = None,
    *,
    opened: int | None = OPENED,
) -> Manifest:
    """Read the corpora, look for every file in the listings, and open some.

    Args:
        opened: files of each dataset to open for their length, spread over it; none: every file.

    Raises:
        ManifestError: the corpora contradict themselves or each other, hold no video, or none of the
            splits that are asked for.
    """
    labels, rows, missing = Labels(), list[dict](), list[str]()
    left_out: Counter[LeftOut] = Counter()
    published: dict[str, Published] = {}
    for corpus in corpora:
        files = Files(corpus.root, partial(_tell_listing, corpus.reader, progress))
        expected = reader(corpus.reader).published
        for row in _taken(corpus, files, labels, left_out):
            if expected and (told := expected.taken(corpus)).parts():
                published[row["dataset"]] = told
            if _is_there(row, files):
                rows.append(row)
            else:
                missing.append(row["uri"])
    if not rows:
        raise ManifestError(
            f"No video is there; {len(missing)} are missing, the first {missing[:1]}.",
            "Check corpora.root (and corpora.compression).",
        )
    validate(rows)
    unreadable, count = _open(rows, opened, progress)
    return Manifest(VIDEOS.from_rows(rows), missing, unreadable, count, left_out, published)


def _taken(
    corpus: CorpusSection, files: Files, labels: Labels, left_out: Counter[LeftOut]
) -> Iterator[dict]:
    """The rows that the recipe takes of a corpus, whether or not their files are there."""
    asked, splits = corpus.only or SPLITS, set[str]()
    for found in reader(corpus.reader).read(corpus, files):
        if isinstance(found, LeftOut):
            left_out[found] += 1
            continue
        row = {"kind": "video", "stride": 1} | found
        row["uri"] = storage.absolute(row["uri"])
        labels.add(row["uri"], row["label"], row.pop("listed_in", corpus.root))
        splits.add(row["split"])
        if corpus.only and row["split"] not in asked:
            reason = f"in split {row['split']}, and only {' and '.join(asked)} is asked for"
            left_out[LeftOut(row["dataset"], reason)] += 1
            continue
        row["split"] = corpus.split or row["split"]
        yield row
    if corpus.only and splits.isdisjoint(asked):
        raise ManifestError(
            f"corpora.only: {corpus.reader} has no video in split {' or '.join(asked)}.",
            f"{corpus.root} has: {', '.join(s for s in SPLITS if s in splits) or 'none'}.",
        )


def write_manifest(manifest: Manifest, uri: str) -> None:
    """Write VIDEOS as Parquet, atomically."""
    VIDEOS.write(manifest.videos, uri)


def read_manifest(uri: str) -> pa.Table:
    """Return VIDEOS from the Parquet file at `uri`, checked.

    Raises:
        SchemaError: the file is not Parquet, a column is missing or has another type.
        ManifestError: the rows contradict each other.
    """
    table = VIDEOS.read(uri)
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
        ManifestError: duplicate ids, a person in two splits, an unknown split, label, category or kind.
    """
    known_words = {"split": SPLITS, "label": (0, 1), "category": CATEGORIES, "kind": KINDS}
    for column, known in known_words.items():
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


def _tell_listing(name: str, progress: Progress | None, count: int) -> None:
    if progress:
        progress(0, 1, f"{name}: {count:,} files listed")


def _is_there(row: dict, files: Files) -> bool:
    """Whether the row's file, or its folder with pictures, is in the listing; counts the pictures."""
    if row["kind"] == "video":
        return files.has(row["uri"])
    row["n_images"] = -(-files.image_count(row["uri"]) // row["stride"])
    return row["n_images"] > 0


def _open(
    rows: list[dict], limit: int | None, progress: Progress | None
) -> tuple[dict[str, str], int]:
    """Open video files for their lengths, `limit` of each dataset.

    Returns:
        (video_id -> why it cannot be opened, files opened).
    """
    chosen = list(_chosen(rows, limit))
    unreadable: dict[str, str] = {}
    with ThreadPoolExecutor(_OPEN_AT_ONCE) as pool:
        probes = pool.map(lambda row: probe(row["uri"]), chosen)
        for done, (row, found) in enumerate(zip(chosen, probes, strict=True), 1):
            if found.problem:
                unreadable[row["video_id"]] = found.problem
            row["duration_s"] = row.get("duration_s") or found.duration_s
            if progress:
                progress(done, len(chosen), row["dataset"])
    return unreadable, len(chosen)


def _chosen(rows: list[dict], limit: int | None) -> Iterator[dict]:
    """All video files, or `limit` of each dataset, evenly spread."""
    of_dataset = defaultdict(list)
    for row in rows:
        if row["kind"] == "video":
            of_dataset[row["dataset"]].append(row)
    for videos in of_dataset.values():
        count = len(videos) if limit is None else min(limit, len(videos))
        yield from (videos[len(videos) * k // count] for k in range(count))
