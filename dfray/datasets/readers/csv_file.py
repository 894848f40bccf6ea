"""A CSV file with a row for each video; `root` is the file.

    uri,label[,dataset,split,category,method,source_video,identity,
        identity_group,duration_s,kind,stride,licence]

By further columns that `attributes` of the recipe names, such as age or language, the report gives error
rates of groups.

`uri` (absolute, or relative to the CSV) and `label` (real or fake, 0 or 1) are required, the other columns
optional. A row without a split gets one by a hash of its identity, or else of its name, as the folder reader
draws them; for a collection that is only tested on, set `split: test` in the recipe. Files of one name in
several folders are several videos.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray import storage
from dfray.config import CorpusSection
from dfray.datasets.attributes import encoded
from dfray.datasets.files import Files
from dfray.datasets.readers.distinct_ids import distinct_ids
from dfray.datasets.readers.drawn_splits import DRAWN, DRAWN_BY_PEOPLE, keys_of, split_of
from dfray.datasets.readers.lists import number
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow, label_of
from dfray.datasets.readers.sound_rows import sound_rows
from dfray.tables import REAL

DRAWN_BY_IDENTITY = (
    "no split is stated: drawn by a hash of the identity (train 80, val 10, test 10 %)"
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | Remark | LeftOut]:
    lines, odd = sound_rows(files.root, corpus.dataset or _stem(files.root), corpus.attributes)
    yield from odd
    rows = [_row(corpus, files, row, f"{files.root} line {line}") for line, row in lines]
    paths = [_path(row["uri"]) for _, row in lines]
    names = keys_of(_stem(path) for path in paths)
    before = [row["video_id"] for row in rows]
    videos = distinct_ids(zip(rows, paths, strict=True))
    for video, path, shared in zip(videos, paths, before, strict=True):
        if not video["split"]:
            name = _stem(path)
            # Such as video.mp4 in the folder of each video: one key would put all into one split.
            is_general = video["video_id"] != shared and not any(map(str.isdigit, name))
            key = path if is_general else names[name]
            remark = DRAWN if key in (name, path) else DRAWN_BY_PEOPLE
            if identity := video.get("identity"):
                key, remark = identity, DRAWN_BY_IDENTITY
            video["split"] = split_of(key)
            yield Remark(video["dataset"], remark)
        yield video


def _row(corpus: CorpusSection, files: Files, row: dict[str, str], where: str) -> VideoRow:
    """Return a row of VIDEOS, its split empty if the list gives none."""
    label = label_of(row["label"], where)
    category = row.get("category") or ("real" if label == REAL else "fake")
    method = row.get("method") or category
    dataset = row.get("dataset") or corpus.dataset or _stem(files.root)
    return {
        "video_id": f"{dataset}/{method}/{_stem(_path(row['uri']))}",
        "uri": relative_to_list(files.root, row["uri"]),
        "dataset": dataset,
        "split": row.get("split") or "",
        "label": label,
        "category": category,
        "method": method,
        "source_video": row.get("source_video") or None,
        "identity": row.get("identity") or None,
        "identity_group": row.get("identity_group") or None,
        "attributes": encoded({name: row.get(name, "") for name in corpus.attributes}),
        "duration_s": number(row, "duration_s", where),
        "licence": row.get("licence") or corpus.licence,
        "kind": row.get("kind") or "video",
        "stride": int(row.get("stride") or 1),
        "listed_in": where,
    }


def _stem(uri: str) -> str:
    return os.path.splitext(os.path.basename(uri))[0]


def _path(uri: str) -> str:
    """Return `uri` without what comes before the bucket, and without the slash after a folder."""
    path = uri.partition("://")[2] if storage.is_remote(uri) else uri.removeprefix("./")
    return path.strip("/")


def relative_to_list(root: str, uri: str) -> str:
    """Return `uri` as it is if it is absolute, else relative to the folder of the list `root`."""
    uri = uri.rstrip("/")
    if storage.is_remote(uri) or os.path.isabs(uri):
        return uri
    return storage.join(root.rpartition("/")[0], uri)
