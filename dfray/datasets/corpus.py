"""Rows of one corpus that a recipe uses, with an account of everything else below its root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.files import NOT_UTF8, Files, is_utf8
from dfray.datasets.labels import Labels
from dfray.datasets.readers import reader
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow
from dfray.datasets.suffixes import is_archive, is_video, suffix_of
from dfray.errors import ManifestError, did_you_mean
from dfray.tables import FAKE, SPLITS

PACKED = "an archive: unpack it"
UNPACKED = "an archive, unpacked beside it"
TRAINED = ("train", "val")
"""Splits by which a detector is made."""


@dataclass(frozen=True)
class Account:
    """Files that give no row, and decisions about those that do; shared by all corpora of a recipe."""

    left_out: Counter[LeftOut] = field(default_factory=Counter)
    remarks: Counter[Remark] = field(default_factory=Counter)


def may_hold(corpus: CorpusSection, splits: Collection[str]) -> bool:
    """Return False if the recipe surely takes no video of these splits from the corpus.

    Its videos are given another split, these are left out, or all are published as of others.
    """
    if corpus.split is not None:
        return corpus.split in splits
    taken = [split for split in splits if corpus.only is None or split in corpus.only]
    published = reader(corpus.reader).published
    return bool(taken) and (published is None or published.may_have(taken))


def corpus_rows(
    corpus: CorpusSection, files: Files, labels: Labels, account: Account
) -> Iterator[VideoRow]:
    """Yield the rows that the recipe uses of a corpus, for missing files too; count everything else.

    Raises:
        ManifestError: the corpus contradicts itself or `labels`, or has no video in the splits of `only` or
            of one of `methods`.
    """
    dataset, splits, claimed = corpus.dataset or corpus.reader, set[str](), set[str]()
    methods = set[str]()
    for item in reader(corpus.reader).read(corpus, files):
        if isinstance(item, Remark):
            account.remarks[item] += 1
        elif isinstance(item, LeftOut):
            account.left_out[item] += 1
            claimed.add(item.uri or "")
        elif not is_utf8(item["uri"] + item["video_id"]):
            example = storage.printable(item["uri"])
            account.left_out[LeftOut(dataset, NOT_UTF8, example, suffix_of(example))] += 1
        elif reason := storage.why_not_fetched(item["uri"]):
            uri = item["uri"]
            account.left_out[LeftOut(item["dataset"], reason, uri, suffix_of(uri))] += 1
        else:
            dataset, row = item["dataset"], _completed(item)
            labels.add(row["uri"], row["label"], row.pop("listed_in", corpus.root))
            splits.add(row["split"])
            if row["label"] == FAKE:
                methods.add(row["method"])
            claimed.add(row["uri"])
            if _is_selected(row, corpus, account):
                yield row
    _require_splits(corpus, splits)
    require_methods(corpus, methods)
    if files.is_listed:
        account.left_out.update(_not_taken(dataset, corpus.reader, files, claimed))


def _completed(item: VideoRow) -> VideoRow:
    row: VideoRow = {"kind": "video", "stride": 1, **item}
    row["uri"] = storage.absolute(row["uri"])
    return row


def why_not_read(row: VideoRow, corpus: CorpusSection) -> str | None:
    """Return why the recipe leaves a row of the corpus out; None: it is read."""
    if corpus.only and row["split"] not in corpus.only:
        return f"in split {row['split']}, and corpora.only is {' and '.join(corpus.only)}"
    if corpus.methods and row["label"] == FAKE and row["method"] not in corpus.methods:
        return f"of method {row['method']}, and corpora.methods is {', '.join(corpus.methods)}"
    return None


def _is_selected(row: VideoRow, corpus: CorpusSection, account: Account) -> bool:
    """Put the row into the recipe's split; count it and return False if the recipe leaves it out."""
    if reason := why_not_read(row, corpus):
        account.left_out[LeftOut(row["dataset"], reason)] += 1
        return False
    row["split"] = corpus.split or row["split"]
    return True


def _require_splits(corpus: CorpusSection, splits: set[str]) -> None:
    if corpus.only and splits.isdisjoint(corpus.only):
        raise ManifestError(
            f"corpora.only: {corpus.reader} has no video in split {' or '.join(corpus.only)}.",
            f"{corpus.root} has: {', '.join(s for s in SPLITS if s in splits) or 'none'}.",
        )


def require_methods(corpus: CorpusSection, methods: Collection[str]) -> None:
    """Refuse a method of the recipe that is none of those that the corpus has fakes of.

    Raises:
        ManifestError: it is none; the message has the nearest.
    """
    for method in corpus.methods or ():
        if method not in methods:
            raise ManifestError(
                f"corpora.methods: {corpus.reader} has no fake of a method {method!r}.",
                did_you_mean(method, methods)
                or f"{corpus.root} has: {', '.join(sorted(methods)) or 'none'}.",
            )


def _not_taken(dataset: str, reader_name: str, files: Files, claimed: set[str]) -> Counter[LeftOut]:
    """Count the videos, pictures and archives below the root that the reader has not named, by suffix."""
    outside = f"not in a place or list that reader {reader_name} reads"
    counts: Counter[LeftOut] = Counter()
    for path, reason in files.left_out():
        counts[LeftOut(dataset, reason, files.uri(path), suffix_of(path))] += 1
    for path in (*files.videos(), *files.other_files()):
        uri = files.uri(path)
        if uri not in claimed and (is_video(path) or is_archive(path)):
            reason = outside if is_video(path) else UNPACKED if files.is_unpacked(path) else PACKED
            counts[LeftOut(dataset, reason, uri, suffix_of(path))] += 1
    for folder in files.image_folders():
        if files.uri(folder) not in claimed:
            for suffix, count in files.picture_suffixes(folder).items():
                counts[LeftOut(dataset, outside, files.uri(folder), suffix)] += count
    return counts
