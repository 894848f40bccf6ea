"""Readers of corpora, by name.

A reader is a function `read(corpus: CorpusSection) -> Iterator[dict]` that yields one row of VIDEOS for
every video the corpus should hold, whether or not the file is there: `build_manifest` looks, and lists what
is missing. To add a corpus, write such a function in a module of its own and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from dfray.config import CorpusSection
from dfray.errors import RecipeError

Reader = Callable[[CorpusSection], Iterator[dict]]

READERS = {
    "folder": "dfray.datasets.readers.folder",
    "csv": "dfray.datasets.readers.csv_file",
    "ffpp": "dfray.datasets.readers.ffpp",
    "demo": "dfray.datasets.readers.demo_clips",
}


def reader(name: str) -> Reader:
    """The reader of that name.

    Raises:
        RecipeError: there is none; the names there are.
    """
    if name not in READERS:
        raise RecipeError(
            f"corpora: no reader is called {name!r}.", f"There are: {', '.join(READERS)}."
        )
    return import_module(READERS[name]).read
