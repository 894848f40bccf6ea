"""Manifest: one row per video, built from the corpora and checked before any compute is spent.

Contradictions (two videos with one id, a person in two splits, two lists that give a video two labels) are
refused; the message names the rows. Missing and unreadable files are counted and listed: a missing file
gets no row, an unreadable one does, so that extraction records its outcome and reason.

A corpus is listed in pages; its files are not requested one by one. Opening each of 200,000 files on s3
takes 600,000 requests, and the extraction opens them anyway; so a manifest opens OPENED files of each
dataset, for their durations, and only `dfray manifest check` opens all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

import pyarrow as pa

from dfray.config import CorpusSection
from dfray.datasets.corpus import Account, corpus_rows
from dfray.datasets.files import LEAVES, Files
from dfray.datasets.labels import Labels
from dfray.datasets.probe import probe
from dfray.datasets.published import Comparison, Published, compare_counts
from dfray.datasets.readers import reader
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow
from dfray.datasets.suffixes import suffix_of
from dfray.errors import ManifestError
from dfray.tables import CATEGORIES, KINDS, SPLITS, VIDEOS

OPENED = 1000
"""Files of each dataset that are opened while a manifest is built."""
_ROWS_IN_MESSAGE = 5
"""Rows that an error message names; it counts the others."""
_OPEN_AT_ONCE = 16


class Progress(Protocol):
    """A callback with (steps done, total steps, the step's description)."""

    def __call__(self, done: int, total: int, detail: str) -> None: ...


@dataclass(frozen=True)
class Manifest:
    """VIDEOS of all corpora, with the problems of their files.

    Attributes:
        missing: URIs that a corpus should hold and does not.
        unreadable: video_id -> the reason why its file cannot be opened; its row is in `videos`.
        opened: number of files that were opened.
        left_out: videos that the rules of a corpus, or `only`, leave out, and files that no rule takes; by
            dataset, suffix and reason.
        published: dataset -> the published numbers of its videos.
        remarks: decisions about rows that are not the corpus's own, such as drawn splits, by dataset.
    """

    videos: pa.Table
    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    opened: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    published: dict[str, Published] = field(default_factory=dict)
    remarks: Counter[Remark] = field(default_factory=Counter)

    def counts(self) -> list[tuple[str, str, str, int]]:
        """Return (dataset, split, category, videos), in the order of dataset, split and category."""
        keys = zip(
            *(self.videos.column(c).to_pylist() for c in ("dataset", "split", "category")),
            strict=True,
        )
        order = lambda key: (key[0], SPLITS.index(key[1]), CATEGORIES.index(key[2]))  # noqa: E731
        counted = Counter(keys)
        return [(*key, counted[key]) for key in sorted(counted, key=order)]

    def sentences(self) -> list[str]:
        """Return a sentence for each reason by which files are left out, and for each remark."""
        left_out = sorted(self.left_out.items(), key=lambda item: str(item[0]))
        remarks = sorted(self.remarks.items(), key=lambda item: str(item[0]))
        return [
            *(f"{count:,} of {remark.dataset}: {remark.text}." for remark, count in remarks),
            *(_left_out_sentence(item, count) for item, count in left_out),
        ]

    def comparisons(self) -> list[Comparison]:
        """Compare the number of videos of each corpus with the published one."""
        return compare_counts(self.videos, self.published)


def build_manifest(
    corpora: Iterable[CorpusSection],
    progress: Progress | None = None,
    *,
    opened: int | None = OPENED,
) -> Manifest:
    """Read the corpora, look every file up in the listings, and open some.

    Args:
        opened: files of each dataset to open for their duration, evenly spread; None: every file.

    Raises:
        ManifestError: the corpora contradict themselves or each other, hold no video, or none in the
            splits of `only`.
    """
    labels, rows, missing, account = Labels(), list[VideoRow](), list[str](), Account()
    published: dict[str, Published] = {}
    for corpus in corpora:
        report = partial(_report_listing, corpus.reader, progress)
        files = Files(corpus.root, report, follow_links=corpus.follow_links)
        expected = reader(corpus.reader).published
        expected = expected and expected.restricted_to(corpus)
        for row in corpus_rows(corpus, files, labels, account):
            if expected and expected.counts():
                published[row["dataset"]] = expected
            if _is_listed(row, files):
                rows.append(row)
            elif not files.leaves(uri := row["uri"]):
                missing.append(uri)
            elif files.path(uri) is None:  # else the listing of the root counts it
                account.left_out[LeftOut(row["dataset"], LEAVES, uri, suffix_of(uri))] += 1
    if not rows:
        raise ManifestError(
            f"No video is present; {len(missing)} are missing, the first {missing[:1]}.",
            "Check corpora.root (and corpora.compression).",
        )
    validate(rows)
    unreadable, count = _open(rows, opened, progress)
    table = VIDEOS.from_rows(cast(list[dict[str, Any]], rows))
    return Manifest(table, missing, unreadable, count, account.left_out, published, account.remarks)


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
    """Return 16 hex digits of a hash of the manifest's content; the order of rows does not matter."""
    import hashlib

    columns = ("video_id", "split", "label", "category", "identity")
    values = sorted(zip(*(videos.column(name).to_pylist() for name in columns), strict=True))
    contents = zip(videos["video_id"].to_pylist(), videos["content"].to_pylist(), strict=True)
    rows = [*values, *sorted((video, content) for video, content in contents if content)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def validate(rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that rows of VIDEOS contradict neither themselves nor each other.

    Raises:
        ManifestError: duplicate ids, a person in two splits, an unknown split, label, category or kind;
            the message names the rows.
    """
    allowed = {"split": SPLITS, "label": (0, 1), "category": CATEGORIES, "kind": KINDS}
    for column, values in allowed.items():
        wrong = [f"{r['video_id']} ({r[column]!r})" for r in rows if r[column] not in values]
        if wrong:
            raise ManifestError(
                f"Unknown {column} of {_first_few(wrong)}.",
                f"It is one of: {', '.join(map(str, values))}.",
            )
    wrong = [r["video_id"] for r in rows if (r["category"] == "real") != (r["label"] == 0)]
    if wrong:
        raise ManifestError(
            f"Label and category contradict each other in {_first_few(wrong)}.",
            "Category real goes with label 0, every other with 1.",
        )
    _refuse_duplicates(rows)
    _refuse_crossing(rows)


def _refuse_duplicates(rows: Sequence[Mapping[str, Any]]) -> None:
    uris = defaultdict(list)
    for row in rows:
        uris[row["video_id"]].append(row["uri"])
    shared = [f"{key} ({' and '.join(same)})" for key, same in uris.items() if len(same) > 1]
    if shared:
        raise ManifestError(
            f"Two videos share an id: {_first_few(shared)}.",
            "An id is dataset/method/stem: rename a file, or name another dataset or method.",
        )


def _refuse_crossing(rows: Sequence[Mapping[str, Any]]) -> None:
    splits = defaultdict(set)
    for row in rows:
        if row.get("identity"):
            splits[row["dataset"], row["identity"]].add(row["split"])
    crossing = {key for key, person_splits in splits.items() if len(person_splits) > 1}
    if crossing:
        videos = [
            f"{r['video_id']} ({r['identity']} in {r['split']})"
            for r in rows
            if (r["dataset"], r.get("identity")) in crossing
        ]
        raise ManifestError(
            f"{len(crossing)} identity(ies) are in more than one split: {_first_few(videos)}.",
            "A person seen in training must not be tested on: give all their videos one split.",
        )


def _left_out_sentence(item: LeftOut, count: int) -> str:
    verb = "is" if count == 1 else "are"
    if item.suffix is None:
        return f"{count:,} of {item.dataset} {verb} left out: {item.reason}."
    kind = item.suffix or "without a suffix"
    example = f"{'such as ' if count > 1 else ''}{item.uri}"
    return f"{count:,} {kind} of {item.dataset} {verb} left out: {item.reason} ({example})."


def _first_few(names: list[str]) -> str:
    more = f" and {len(names) - _ROWS_IN_MESSAGE} more" if len(names) > _ROWS_IN_MESSAGE else ""
    return ", ".join(names[:_ROWS_IN_MESSAGE]) + more


def _report_listing(name: str, progress: Progress | None, count: int) -> None:
    if progress:
        progress(0, 1, f"{name}: {count:,} files listed")


def _is_listed(row: VideoRow, files: Files) -> bool:
    """Look the row's file, or its folder of pictures, up in the listing; set `n_images` and `stamp`."""
    if row["kind"] == "video":
        if is_there := files.has(row["uri"]):
            row["stamp"] = files.stamp(row["uri"])
        return is_there
    row["n_images"] = -(-files.image_count(row["uri"]) // row["stride"])
    row["stamp"] = files.pictures_stamp(row["uri"])
    return row["n_images"] > 0


def _open(
    rows: list[VideoRow], limit: int | None, progress: Progress | None
) -> tuple[dict[str, str], int]:
    """Open video files for their durations, `limit` of each dataset.

    Returns:
        (video_id -> the reason why it cannot be opened, number of files opened).
    """
    subset = list(_evenly_spread(rows, limit))
    unreadable: dict[str, str] = {}
    with ThreadPoolExecutor(_OPEN_AT_ONCE) as pool:
        headers = pool.map(lambda row: probe(row["uri"]), subset)
        for done, (row, header) in enumerate(zip(subset, headers, strict=True), 1):
            if header.problem:
                unreadable[row["video_id"]] = header.problem
            row["duration_s"] = row.get("duration_s") or header.duration_s
            if progress:
                progress(done, len(subset), row["dataset"])
    return unreadable, len(subset)


def _evenly_spread(rows: list[VideoRow], limit: int | None) -> Iterator[VideoRow]:
    """Yield the rows of all video files, or of `limit` files of each dataset, evenly spread."""
    of_dataset = defaultdict(list)
    for row in rows:
        if row["kind"] == "video":
            of_dataset[row["dataset"]].append(row)
    for videos in of_dataset.values():
        count = len(videos) if limit is None else min(limit, len(videos))
        yield from (videos[len(videos) * k // count] for k in range(count))
