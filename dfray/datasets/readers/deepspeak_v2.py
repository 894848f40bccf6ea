"""DeepSpeak v2.0 (arXiv 2408.05366): people who filmed themselves, and six engines that forge them.

    annotations-real.csv            video-file, identity, …
    annotations-fake.csv            video-file, engine, identity-source, identity-target, recording-target, …
    annotations-split-def.csv       identity, split
    ….mp4                           in any folder: the archives deepspeak-v2-N.zip, unpacked

Videos are found by their names. By engine: facefusion swaps (FS), hellomeme and liveportrait are driven by
a video (RE), diff2lip, latentsync and memo by a voice (TF). A video is of the person who is seen,
identity-target, and so is its split, train or test. Real videos are called IDENTITY-RECORDING.

Least sure: the folders in the archives, the columns of annotations-real.csv (other projects read the two
above), and the counts, which are a third party's of the annotation files.
"""

from __future__ import annotations

from collections.abc import Iterator

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.by_name import places_by_name, stem_of
from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow, video_row
from dfray.errors import ManifestError

REAL_LIST, FAKE_LIST = "annotations-real.csv", "annotations-fake.csv"
SPLIT_LIST = "annotations-split-def.csv"
CATEGORY_OF = {
    "real": "real",
    "facefusion": "FS",
    **dict.fromkeys(("hellomeme", "liveportrait"), "RE"),
    **dict.fromkeys(("diff2lip", "latentsync", "memo"), "TF"),
}
DONOR_ELSEWHERE = "its donor or driver is of the other split: it is in that of the person seen"
UNSOURCED = "its recording-target is not among the real videos: it has no source_video"
PUBLISHED = Published("DeepSpeak v2.0's annotation files", real=9376, fake=7209)
_HINT = "It comes with DeepSpeak v2; put it there."


def read(corpus: CorpusSection, files: Files) -> Iterator[VideoRow | LeftOut | Remark]:
    dataset = corpus.dataset or "deepspeak-v2"
    splits = _splits(files.uri(SPLIT_LIST))
    rows = [
        *_rows(files.uri(REAL_LIST), "identity"),
        *_rows(files.uri(FAKE_LIST), "identity-target"),
    ]
    places = places_by_name(files, (row["video-file"] for row in rows))
    reals = {stem_of(row["video-file"]) for row in rows if row["engine"] == "real"}
    for row in rows:
        person, uri = row["person"], places[row["video-file"]]
        if person not in splits:
            yield LeftOut(dataset, f"its person is not in {SPLIT_LIST}", uri)
            continue
        if splits.get(row.get("identity-source", person), splits[person]) != splits[person]:
            yield Remark(dataset, DONOR_ELSEWHERE)
        original = f"{person}-{row.get('recording-target')}"
        if row["engine"] != "real" and original not in reals:
            yield Remark(dataset, UNSOURCED)
        yield video_row(
            corpus,
            dataset,
            uri=uri,
            method=row["engine"],
            stem=stem_of(row["video-file"]),
            split=splits[person],
            category=CATEGORY_OF[row["engine"]],
            source_video=f"{dataset}/real/{original}" if original in reals else None,
            identity=person,
            licence="DeepSpeak licence (free to academic institutions)",
        )


def _splits(uri: str) -> dict[str, str]:
    """Return person -> train or test."""
    splits: dict[str, str] = {}
    for line, row in read_csv(uri, ("identity", "split"), _HINT):
        split = row["split"].strip().lower()
        if split not in ("train", "test") or splits.setdefault(row["identity"], split) != split:
            raise ManifestError(
                f"{uri} line {line}: {row['split']!r} is no split of person {row['identity']}.",
                "It is train or test, the same in every line of a person.",
            )
    return splits


def _rows(uri: str, person: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a list, with who is seen and the engine, which is `real` in that of real videos."""
    needed = ("video-file", person) if person == "identity" else ("video-file", person, "engine")
    for line, row in read_csv(uri, needed, _HINT):
        engine = "real" if person == "identity" else row["engine"]
        if engine not in CATEGORY_OF:
            raise ManifestError(
                f"{uri} line {line}: unknown engine {engine!r}.",
                f"It is one of: {', '.join([*CATEGORY_OF][1:])}; those of DeepSpeak v1 are not read.",
            )
        yield {**row, "person": row[person], "engine": engine}
