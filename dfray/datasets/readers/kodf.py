"""KoDF (arXiv 2103.10094): Koreans filmed for it, and six models in five classes that forge them.

    원본영상_{training,validation,test}_메타데이터.csv   real videos: 영상ID, UUID
    변조영상_{training,validation,test}_메타데이터.csv   fakes: 영상ID, 변조모델, 타겟영상, 타겟UUID
    ….mp4                                              in any folder

The lists, in any folder too, are those of AI-Hub's download; those that are there are read, one of each
class at least. Videos are found by their names (영상ID). By model (변조모델): dfl, dffs and fsgan swap
faces (FS), fo is the First Order Motion Model (RE), audio-driven is ATFHP or Wav2Lip (TF). A video is of
the person who is seen (UUID, 타겟UUID), where its list has the column; a fake is made from 타겟영상. A
person in more than one split has no identity, since the manifest would refuse the corpus.

Least sure: the names of lists and columns, which other projects read; whether the test set is given out
(its count is the rest of the totals); and the lists of the download outside Korea. Keep clips with
adversarial noise out of the root: some have the names of others.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.by_name import places_by_name, stem_of
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import Remark, VideoRow, video_row
from dfray.errors import ManifestError

REALS, FAKES = "원본영상", "변조영상"
VIDEO, MODEL, TARGET = "영상ID", "변조모델", "타겟영상"
SPLIT_OF = {"training": "train", "validation": "val", "test": "test"}
SWAPS = ("dfl", "dffs", "fsgan")
CATEGORY_OF = {"real": "real", **dict.fromkeys(SWAPS, "FS"), "fo": "RE", "audio-driven": "TF"}
CROSSING = "the person is in more than one split, so the row has no identity"
UNNAMED = "its list does not say who is seen, so the row has no identity"
PUBLISHED = Published("arXiv 2103.10094", 62_166, 175_776, train=189_370, val=22_987, test=25_585)
_HINT = "It comes with KoDF; put it there."


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | Remark]:
    dataset = corpus.dataset or "kodf"
    listed = list(_rows(files))
    places = places_by_name(files, (row[VIDEO] for _, _, row in listed))
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for split, _, row in listed:
        splits[_person(row)].add(split)
    for split, model, row in listed:
        person = _person(row)
        if not person:
            yield Remark(dataset, UNNAMED)
        elif len(splits[person]) > 1:
            yield Remark(dataset, CROSSING)
            person = ""
        original = stem_of(row.get(TARGET, ""))
        yield video_row(
            corpus,
            dataset,
            uri=places[row[VIDEO]],
            method=model,
            stem=stem_of(row[VIDEO]),
            split=split,
            category=CATEGORY_OF[model],
            source_video=f"{dataset}/real/{original}" if original else None,
            identity=person or None,
            licence="KoDF terms of use",
        )


def _rows(files: Files) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield split, model (real for a real video) and row of all lists, those of real videos first."""
    lists = {_name(path): files.uri(path) for path in files.other_files()}
    for kind, needed in ((REALS, (VIDEO,)), (FAKES, (VIDEO, MODEL, TARGET))):
        names = {f"{kind}_{word}_메타데이터.csv": split for word, split in SPLIT_OF.items()}
        if names.keys().isdisjoint(lists):
            raise ManifestError(f"{files.root} holds no {' or '.join(names)}.", _HINT)
        for name, split in names.items():
            listed = read_csv(lists[name], needed, _HINT) if name in lists else ()
            for line, row in listed:
                model = "real" if kind == REALS else row[MODEL].strip()
                if model not in CATEGORY_OF:
                    raise ManifestError(
                        f"{lists[name]} line {line}: unknown model {model!r}.",
                        f"It is one of: {', '.join([*CATEGORY_OF][1:])}.",
                    )
                yield split, model, row


def _person(row: dict[str, str]) -> str:
    return row.get("UUID") or row.get("타겟UUID") or ""


def _name(path: str) -> str:
    """Return a file's name composed: macOS and its archives store Hangul in parts."""
    return unicodedata.normalize("NFC", path.rpartition("/")[2])
