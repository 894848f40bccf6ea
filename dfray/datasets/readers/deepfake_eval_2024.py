"""Videos of Deepfake-Eval-2024 (arXiv 2503.02857).

    video-metadata-publish[-with-links].csv     Filename, Video Ground Truth, Finetuning Set
    video-data/FILENAME

Videos whose picture is labelled Unknown are left out (arXiv 2508.19730 section 4.2). The corpus has a split
for fine-tuning (Train) and one for testing; `split: test` tests on all videos. A row whose set is blank is
left out, unless the recipe names the split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_2, Published
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import LeftOut, VideoRow, label_of, video_row
from dfray.errors import ManifestError

LISTS = ("video-metadata-publish.csv", "video-metadata-publish-with-links.csv")
_TRUTH, _SET = "Video Ground Truth", "Finetuning Set"
PUBLISHED = Published(TABLE_2, real=112, fake=964)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut]:
    dataset = corpus.dataset or "deepfake-eval-2024"
    lists = [uri for name in LISTS if files.has(uri := files.uri(name))]
    if not lists:
        raise ManifestError(
            f"{corpus.root} holds no {' or '.join(LISTS)}.", "It comes with the corpus."
        )
    labels = Labels()
    for where, row in _rows(lists[1:]):
        if not _is_unknown(row):
            labels.add(row["Filename"], label_of(row[_TRUTH], where), where)
    for where, row in _rows(lists[:1]):
        if _is_unknown(row):
            yield LeftOut(dataset, "the picture's label is Unknown", _uri(files, row))
            continue
        labels.add(row["Filename"], label_of(row[_TRUTH], where), where)
        split = row[_SET].strip().lower() or (corpus.split or "" if not corpus.only else "")
        if not split:
            yield LeftOut(dataset, f"its {_SET} is blank", _uri(files, row))
            continue
        if split not in ("train", "test", corpus.split):
            raise ManifestError(f"{where}: unknown {_SET} {row[_SET]!r}.", "It is Train or Test.")
        category = "fake" if labels[row["Filename"]] else "real"
        yield video_row(
            corpus,
            dataset,
            uri=_uri(files, row),
            method=category,
            stem=os.path.splitext(row["Filename"])[0],
            split=split,
            category=category,
            licence="CC BY-SA 4.0",
        )


def _uri(files: Files, row: dict[str, str]) -> str:
    return files.uri("video-data", row["Filename"])


def _rows(lists: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (list and line, row) of all the lists."""
    for uri in lists:
        for line, row in read_csv(uri, ("Filename", _TRUTH, _SET), "It comes with the corpus."):
            yield f"{uri} line {line}", row


def _is_unknown(row: dict[str, str]) -> bool:
    return row[_TRUTH].strip().lower() == "unknown"
