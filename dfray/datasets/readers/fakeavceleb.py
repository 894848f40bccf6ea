"""FakeAVCeleb v1.2 (arXiv 2108.05080).

    meta_data.csv
    {Real,Fake}Video-{Real,Fake}Audio/RACE/GENDER/ID/NAME.mp4

meta_data.csv names every video: `type` is its first folder, `path` its file, the column without a name its
folder, from FakeAVCeleb/ on. RealVideo-FakeAudio is left out, as only the picture is judged; a file
that is listed again (two dozen are, with another method) keeps its first line. Swapped and then
lip-synced (faceswap-wav2lip) counts as a swap.

The real video that a fake was made from is the person's own with the same leading number (00109_3.mp4 from
00109.mp4), or the only one.

There is no official split. People are divided 14 : 3 : 3 (70, 15, 15 %), evenly over race and gender; the
same meta_data.csv gives the same splits. A person is the one who is filmed; the donors of swapped faces
may be people of another split.
"""

from __future__ import annotations

from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.attributes import encoded
from dfray.datasets.files import Files
from dfray.datasets.labels import Labels
from dfray.datasets.published import TABLE_1, Published
from dfray.datasets.readers.fakeavceleb_people import real_videos, source_of, split_people, stem_of
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
PUBLISHED = Published(
    TABLE_1, train=14_720, val=3149, test=3172, real=498, fake=20_543, real_faces=3_000
)


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut]:
    dataset = corpus.dataset or "fakeavceleb"
    uri = files.uri("meta_data.csv")
    lines = list(read_csv(uri, _NEEDED, "It comes with FakeAVCeleb v1.2; put it there."))
    splits = split_people([row for _, row in lines])
    reals = real_videos(row for _, row in lines)
    labels = Labels()
    for line, row in lines:
        path = f"{row[''].partition('/')[2]}/{row['path']}"
        kind, folder = row["type"], path.partition("/")[0]
        if kind == "RealVideo-FakeAudio":
            yield LeftOut(dataset, "real video under fake audio", files.uri(path))
            continue
        is_repeated = path in labels
        labels.add(path, _label(folder), f"folder {folder}")
        labels.add(path, _label(kind), f"meta_data.csv line {line} ({kind})")
        if is_repeated:
            yield LeftOut(dataset, "listed again in meta_data.csv", files.uri(path))
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
            stem=stem_of(row),
            split=splits[row["source"]],
            category=CATEGORY_OF[row["method"]],
            source_video=source_of(dataset, row, reals) if labels[path] == FAKE else None,
            identity=row["source"],
            identity_group=f"{row['gender']}/{row['race']}",
            attributes=encoded({"gender": row["gender"], "race": row["race"]}),
            licence="FakeAVCeleb terms of use (non-commercial research)",
        )


def _label(kind: str) -> int:
    return REAL if kind.startswith("RealVideo") else FAKE
