"""Readers of corpora, by name.

A reader is a module with a function `read(corpus, files)` that yields one row for every video the corpus
should hold, whether or not it is there: `build_manifest` looks, and lists what is missing. `files` is the
listing of the corpus's root, in pages, made when first asked for. What the rules of a corpus leave out is
yielded as `LeftOut`, so that it is counted. If the corpus's counts are published, `PUBLISHED` holds them.

To add a corpus, write such a module and name it in READERS. All of one for clips/{real,swapped}/*.mp4, of
which the first thousand are for training:

    from dfray.datasets.published import Published
    from dfray.datasets.readers.rows import video_row

    PUBLISHED = Published("arXiv 0000.00000, Table 1", real=1000, fake=2000)

    def read(corpus, files):
        for folder, category in (("real", "real"), ("swapped", "FS")):
            for path in files.videos(f"clips/{folder}"):
                stem = path.rsplit("/", 1)[1].removesuffix(".mp4")
                yield video_row(
                    corpus,
                    corpus.dataset or "mine",
                    uri=files.uri(path),
                    method=folder,
                    stem=stem,
                    split="train" if int(stem) < 1000 else "test",
                    category=category,
                )

A video given as pictures is a row whose `uri` is their folder, with `kind="frames"` (whole pictures) or
`kind="faces"` (cropped faces: no detector is run) and, if not every picture is taken, a `stride`.
Where two lists tell the label of one video, `dfray.datasets.labels.Labels` refuses a contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.rows import LeftOut
from dfray.errors import RecipeError

READERS = {
    "folder": "folder",
    "csv": "csv_file",
    "demo": "demo_clips",
    "ffpp": "ffpp",
    "celeb_df": "celeb_df",
    "dfdc": "dfdc",
    "fakeavceleb": "fakeavceleb",
    "forgerynet": "forgerynet",
    "df40": "df40",
    "wilddeepfake": "wilddeepfake",
    "deepfake_eval_2024": "deepfake_eval_2024",
    "dfd": "dfd",
    "dfdc_preview": "dfdc_preview",
    "ffiw": "ffiw",
}
"""Name in a recipe -> module here."""


class Read(Protocol):
    def __call__(self, corpus: CorpusSection, files: Files) -> Iterator[dict | LeftOut]: ...


@dataclass(frozen=True)
class Reader:
    """How a corpus is read, and how many videos it should hold, if that is published."""

    read: Read
    published: Published | None


def reader(name: str) -> Reader:
    """The reader of that name.

    Raises:
        RecipeError: there is none; the names there are.
    """
    if name not in READERS:
        raise RecipeError(
            f"corpora: no reader is called {name!r}.", f"There are: {', '.join(READERS)}."
        )
    module = import_module(f"{__name__}.{READERS[name]}")
    return Reader(module.read, getattr(module, "PUBLISHED", None))
