"""Face crops of WildDeepfake (arXiv 2101.01456), 224 px, from videos found online.

    [deepfake_in_the_wild/]{real,fake}_{train,test}/N/{real,fake}/SEQUENCE/*.png

N is an unpacked archive; archives that are not unpacked are counted. A blank may stand for the underscore.
Each sequence counts as a video, of which every tenth face is used (arXiv 2508.19730 section 4.2). That paper
tests on all sequences: set `split: test` for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_2, Published
from dfray.datasets.readers.rows import VideoRow, label_of, video_row
from dfray.errors import ManifestError

STRIDE = 10
PUBLISHED = Published(TABLE_2, real=3805, fake=3509)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow]:
    dataset = corpus.dataset or "wilddeepfake"
    labels = Labels()
    for path in files.image_folders():
        match = re.search(r"(?:^|/)((real|fake)[_ ](train|test))/(.+)$", path)
        if match is None:
            continue
        outer, word, split, tail = match.groups()
        inner = [name for name in tail.split("/") if name in ("real", "fake")]
        labels.add(path, label_of(word, path), f"folder {outer}")
        for name in inner:
            labels.add(path, label_of(name, path), f"folder {name}")
        numbers = [name for name in tail.split("/") if name not in inner]
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=word,
            stem="/".join([split, *numbers]),
            split=split,
            category="real" if word == "real" else "fake",
            kind="faces",
            stride=STRIDE,
            licence="WildDeepfake terms of use",
        )
    if not labels:
        raise ManifestError(
            f"{corpus.root} holds no real_train, real_test, fake_train or fake_test with images.",
            "Unpack the archives of each folder there.",
        )
