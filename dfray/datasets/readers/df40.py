"""Test set of DF40 on Celeb-DF (arXiv 2406.13495), as arXiv 2508.19730 section 4.2 uses it.

    METHOD/cdf/frames/VIDEO/*.png                                   as published: cropped faces
    METHOD/cdf/videos/VIDEO.mp4                                     with `kind: video`
    Celeb-DF-v2/{Celeb-real,YouTube-real}/{frames/VIDEO/*.png,VIDEO.mp4}
    Celeb-DF-v2/List_of_testing_videos.txt                          names the 178 real videos

Nine swapping and twelve re-enacting methods. Left out are synthesis, editing, fakes of FaceForensics++
videos (METHOD/ff, the training data), and folders other than frames or videos, such as masks.
`kind: frames` sends the pictures through the face detector. A folder that an archive has put into one of its
own name (fomm/fomm/cdf) counts once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files, without_doubles
from dfray.datasets.published import Published
from dfray.datasets.readers.celeb_df import LIST, testing_labels
from dfray.datasets.readers.rows import LeftOut, VideoRow, video_row
from dfray.tables import REAL

CATEGORY_OF = {
    "fsgan": "FS",
    "faceswap": "FS",
    "simswap": "FS",
    "inswap": "FS",
    "blendface": "FS",
    "uniface": "FS",
    "mobileswap": "FS",
    "e4s": "FS",
    "facedancer": "FS",
    "fomm": "RE",
    "facevid2vid": "RE",
    "wav2lip": "RE",
    "MRAA": "RE",
    "one_shot_free": "RE",
    "pirender": "RE",
    "tpsm": "RE",
    "lia": "RE",
    "danet": "RE",
    "sadtalker": "RE",
    "mcnet": "RE",
    "hyperreenact": "RE",
}
REALS = "Celeb-DF-v2"
PUBLISHED = Published("arXiv 2508.19730, section 4.2", test=11_544, real=178, fake=11_366)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut]:
    dataset = corpus.dataset or "df40"
    kind = corpus.kind or "faces"

    def row(path: str, method: str, category: str) -> VideoRow:
        return video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=method,
            stem=os.path.splitext(os.path.basename(path))[0],
            split="test",
            category=category,
            kind=kind,
            licence="DF40, CC BY-NC 4.0",
        )

    kind_folder = "videos" if kind == "video" else "frames"
    paths = files.videos() if kind == "video" else files.image_folders()
    places = {without_doubles(path): path for path in paths}
    lists = {without_doubles(path): path for path in files.named(LIST)}
    list_uri = files.uri(lists.get(f"{REALS}/{LIST}", f"{REALS}/{LIST}"))
    for listed, label in testing_labels(list_uri).items():
        folder, _, name = listed.partition("/")
        if label == REAL:
            stem = os.path.splitext(name)[0]
            place = f"{REALS}/{folder}/{name if kind == 'video' else f'frames/{stem}'}"
            yield row(places.get(place, place), folder, "real")
    for place, path in places.items():
        method, *folders = place.split("/")
        if method == REALS:
            continue
        if method not in CATEGORY_OF:
            reason = f"{method or 'no folder'}: none of the 21 methods"
            yield LeftOut(dataset, reason, files.uri(path))
        elif folders[:1] != ["cdf"]:
            yield LeftOut(dataset, "not made from Celeb-DF's test videos", files.uri(path))
        elif len(folders) != 3 or folders[1] != kind_folder:
            reason = f"not cdf/{kind_folder}/VIDEO, but masks or the like"
            yield LeftOut(dataset, reason, files.uri(path))
        else:
            yield row(path, method, CATEGORY_OF[method])
