"""WildDeepfake (arXiv 2101.01456): sequences of face crops, 224 px, from videos found online.

    [deepfake_in_the_wild/]{real,fake}_{train,test}/N/{real,fake}/SEQUENCE/*.png

N is an archive, unpacked. Each sequence counts as a video, of which every tenth face is taken (arXiv
2508.19730 section 4.2). That paper tests on all of them: `split: test` does so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_2, Published
from dfray.datasets.readers.rows import label_of, video_row
from dfray.errors import ManifestError

STRIDE = 10
PUBLISHED = Published(TABLE_2, real=3805, fake=3509)


def read(corpus: CorpusSection, files: Files) -> Iterator[dict]:
    dataset = corpus.dataset or "wilddeepfake"
    labels = Labels()
    for path in files.image_folders():
        found = re.search(r"(?:^|/)((real|fake)_(train|test))/(.+)$", path)
        if found is None:
            continue
        outer, word, split, rest = found.groups()
        inner = [part for part in rest.split("/") if part in ("real", "fake")]
        labels.add(path, label_of(word, path), f"folder {outer}")
        for part in inner:
            labels.add(path, label_of(part, path), f"folder {part}")
        numbers = [part for part in rest.split("/") if part not in inner]
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
