"""A plain folder of videos.

    [train|val|test/]{real,fake,FS,RE,TF}/[METHOD/]NAME.mp4

The folder names give split, label, category and method, in any order and case: real/test/NAME.mp4 and
test_clips/METHOD/fake/NAME.mp4 as well. Of several such words the outermost counts. Names may repeat in
other folders. Without a split in its path (or as the name of the root) a video is assigned to train, val or
test (80, 10, 10 %) by a hash of its name; names like those of FaceForensics++ (000_003) and Celeb-DF
(id0_id1_0000) keep their people together. In other collections one person can be in several splits: to
prevent that, use the csv reader with its column identity. `dfray manifest check` states which splits were
drawn, and counts the files that are not taken.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.readers.distinct_ids import distinct_ids
from dfray.datasets.readers.drawn_splits import DRAWN, DRAWN_BY_PEOPLE, keys_of, split_of
from dfray.datasets.readers.folder_words import SPLIT_OF, FolderWords, folder_words
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow, video_row
from dfray.datasets.suffixes import is_archive, suffix_of
from dfray.errors import ManifestError

NO_CLASS = "its folders do not say whether it is real or fake"
OF_THE_ROOT = "no split word below the root: the name of the root counts"


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut | Remark]:
    name = os.path.basename(corpus.root.rstrip("/"))
    dataset = corpus.dataset or name or "folder"
    meanings = {path: folder_words(path.split("/")[:-1]) for path in files.videos()}
    labelled = {path: meaning for path, meaning in meanings.items() if meaning.category}
    _require_videos(corpus, files, meanings)
    for path in files.other_files():
        if not is_archive(path):
            yield LeftOut(dataset, "no video", files.uri(path), suffix_of(path))
    for path in filter(lambda path: path not in labelled, meanings):
        yield LeftOut(dataset, NO_CLASS, files.uri(path), suffix_of(path))
    rows = []
    drawn = keys_of(_stem(path) for path, meaning in labelled.items() if not meaning.split)
    for path, meaning in labelled.items():
        split, *remarks = _split(path, meaning, name, drawn)
        yield from (Remark(dataset, text) for text in (*meaning.remarks, *remarks))
        rows.append((_row(corpus, dataset, files.uri(path), meaning, split), path))
    yield from distinct_ids(rows)


def _split(path: str, meaning: FolderWords, root: str, keys: dict[str, str]) -> tuple[str, ...]:
    """Return the split of a video, and a remark if no folder below the root states it."""
    if meaning.split:
        return (meaning.split,)
    if root.lower() in SPLIT_OF:
        return SPLIT_OF[root.lower()], OF_THE_ROOT
    key = keys[_stem(path)]
    return split_of(key), DRAWN if key == _stem(path) else DRAWN_BY_PEOPLE


def _row(
    corpus: CorpusSection, dataset: str, uri: str, meaning: FolderWords, split: str
) -> VideoRow:
    assert meaning.category
    return video_row(
        corpus,
        dataset,
        uri=uri,
        method=meaning.method or meaning.category,
        stem=_stem(uri),
        split=split,
        category=meaning.category,
    )


def _stem(path: str) -> str:
    return os.path.splitext(path.rpartition("/")[2])[0]


def _require_videos(corpus: CorpusSection, files: Files, meanings: dict[str, FolderWords]) -> None:
    """Raise a ManifestError if there is no video, or none whose class is known."""
    if not meanings:
        present = Counter(suffix_of(path) or "no suffix" for path in files.other_files())
        for folder in files.image_folders():
            present.update(files.picture_suffixes(folder))
        names = ", ".join(f"{count:,} {suffix}" for suffix, count in present.most_common(5))
        raise ManifestError(
            f"{corpus.root} holds no video, but {names or 'nothing'}.", "Check corpora.root."
        )
    if not any(meaning.category for meaning in meanings.values()):
        raise ManifestError(
            f"{files.uri(next(iter(meanings)))}: {NO_CLASS}.",
            "Put videos under folders called real, fake, FS, RE or TF, or use the csv reader.",
        )
