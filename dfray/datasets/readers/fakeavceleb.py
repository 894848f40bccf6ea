"""FakeAVCeleb v1.2 (arXiv 2108.05080).

    meta_data.csv
    {Real,Fake}Video-{Real,Fake}Audio/RACE/GENDER/ID/NAME.mp4

meta_data.csv names every video: `type` is its first folder, `path` its file, the column without a name its
folder, from FakeAVCeleb/ on. RealVideo-FakeAudio is left out, as only the picture is judged; a file
that is listed again (two dozen are, with another method) keeps its first line. Swapped and then
lip-synced (faceswap-wav2lip) counts as a swap.

There is no official split. People are divided 14 : 3 : 3 (70, 15, 15 %), evenly over race and gender; the
same meta_data.csv gives the same splits. A person is the one who is filmed; the donors of swapped faces
may be people of another split.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import LeftOut, VideoRow, video_row
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL

CATEGORY_OF = {
    "real": "real",
    "faceswap": "FS",
    "fsgan": "FS",
    "faceswap-wav2lip": "FS",
    "fsgan-wav2lip": "FS",
    "wav2lip": "RE",
}
_NEEDED = ("source", "method", "type", "race", "gender", "path", "")
_DEAL = ("train",) * 14 + ("val",) * 3 + ("test",) * 3
PUBLISHED = Published(
    TABLE_1, train=14_720, val=3149, test=3172, real=498, fake=20_543, real_faces=3_000
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut]:
    dataset = corpus.dataset or "fakeavceleb"
    uri = files.uri("meta_data.csv")
    lines = list(read_csv(uri, _NEEDED, "It comes with FakeAVCeleb v1.2; put it there."))
    splits = split_people([row for _, row in lines])
    labels = Labels()
    for line, row in lines:
        path = f"{row[''].partition('/')[2]}/{row['path']}"
        kind, folder = row["type"], path.partition("/")[0]
        if kind == "RealVideo-FakeAudio":
            yield LeftOut(dataset, "real video under fake audio")
            continue
        is_repeated = path in labels
        labels.add(path, _label(folder), f"folder {folder}")
        labels.add(path, _label(kind), f"meta_data.csv line {line} ({kind})")
        if is_repeated:
            yield LeftOut(dataset, "listed again in meta_data.csv")
            continue
        if row["method"] not in CATEGORY_OF:
            raise ManifestError(
                f"{uri} line {line}: unknown method {row['method']!r}.",
                f"It is one of: {', '.join(CATEGORY_OF)}.",
            )
        yield video_row(
            corpus,
            dataset,
            uri=files.uri(path),
            method=row["method"],
            stem=f"{kind}/{row['source']}/{os.path.splitext(row['path'])[0]}",
            split=splits[row["source"]],
            category=CATEGORY_OF[row["method"]],
            identity=row["source"],
            identity_group=f"{row['gender']}/{row['race']}",
            licence="FakeAVCeleb terms of use (non-commercial research)",
        )


def split_people(rows: list[dict[str, str]]) -> dict[str, str]:
    """Return person -> split, for all people of the list."""
    groups = {row["source"]: (row["race"], row["gender"]) for row in rows}

    def order(person: str) -> tuple[tuple[str, str], str]:
        return groups[person], hashlib.sha256(person.encode()).hexdigest()

    people = sorted(groups, key=order)
    return {person: _DEAL[7 * place % len(_DEAL)] for place, person in enumerate(people)}


def _label(kind: str) -> int:
    return REAL if kind.startswith("RealVideo") else FAKE
