"""Readers of corpora, by name.

A reader is a module with a function `read(corpus, files)` that yields one row for every video the corpus
should hold, present or not: `build_manifest` looks for the files and lists the missing ones. `files` is
the listing of the corpus's root, made in pages at its first use. Videos that the rules of a corpus leave
out are yielded as `LeftOut`, so that they are counted by their reason; decisions that are not the corpus's
own, as `Remark`. Videos, pictures and archives that the reader names nowhere are counted for it. If the
corpus's counts are published, `PUBLISHED` holds them. The module's docstring is what `dfray manifest readers`
prints: the corpus, the layout that is expected below its root (indented), and the rules.

To add a corpus, write such a module and name it in READERS. The whole module for clips/{real,swapped}/*.mp4,
of which the first thousand are for training:

    '''My corpus.

        clips/{real,swapped}/NUMBER.mp4

    Numbers below 1000 are for training, the others for testing.
    '''

    from dfray.datasets.published import Published
    from dfray.datasets.readers.rows import VideoRow, video_row

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
`kind="faces"` (cropped faces: no detector is run) and, if not every picture is used, a `stride`.
If two lists give the label of one video, `dfray.datasets.labels.Labels` refuses a contradiction.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from dfray.config import CorpusSection
from dfray.datasets.files import Files
from dfray.datasets.published import Published
from dfray.datasets.readers.rows import LeftOut, Remark, VideoRow
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
    "celeb_df_pp": "celeb_df_pp",
    "deepspeak_v2": "deepspeak_v2",
    "kodf": "kodf",
    "idforge": "idforge",
}
"""Name in a recipe -> module here."""


class Read(Protocol):
    """The function `read` of a reader's module."""

    def __call__(
        self, corpus: CorpusSection, files: Files
    ) -> Iterator[VideoRow | LeftOut | Remark]: ...


@dataclass(frozen=True)
class Reader:
    """A corpus's reader.

    Attributes:
        title: the corpus, in one line.
        layout: the files and folders expected below the corpus's root, and the reader's rules.
        published: the number of videos that the corpus should hold, if it is published.
    """

    read: Read
    published: Published | None
    title: str
    layout: str


def reader(name: str) -> Reader:
    """Return the reader of that name.

    Raises:
        RecipeError: there is none; the message lists the names.
    """
    if name not in READERS:
        raise RecipeError(
            f"corpora: no reader is called {name!r}.", f"There are: {', '.join(READERS)}."
        )
    module = import_module(f"{__name__}.{READERS[name]}")
    title, _, layout = (inspect.getdoc(module) or "").partition("\n\n")
    return Reader(module.read, getattr(module, "PUBLISHED", None), title, layout)
