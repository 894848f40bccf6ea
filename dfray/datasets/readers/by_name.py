"""Files of corpora whose lists give names without folders."""

from __future__ import annotations

import os
from collections.abc import Iterable

from dfray.datasets.files import Files
from dfray.errors import ManifestError


def places_by_name(files: Files, names: Iterable[str]) -> dict[str, str]:
    """Return name -> URI of the video of that name in any folder; directly below the root if it is missing.

    A name without a suffix is that of a .mp4 file.

    Raises:
        ManifestError: a name is empty, or two files have one that is looked for.
    """
    found: dict[str, str] = {}
    twice: dict[str, str] = {}
    for path in files.videos():
        file = path.rpartition("/")[2]
        if found.setdefault(file, path) != path:
            twice[file] = path
    places = {}
    for name in names:
        file = name.rpartition("/")[2]
        file = file if "." in file else f"{file}.mp4"
        if not name.strip():
            raise ManifestError(
                f"{files.root}: a list of the corpus has a row without a name of a video.",
                "Remove the row.",
            )
        if file in twice:
            raise ManifestError(
                f"{files.root}: {found[file]} and {twice[file]} have one name, and the corpus's "
                "list gives no folders.",
                "Keep one of them below the root.",
            )
        places[name] = files.uri(found.get(file, file))
    return places


def stem_of(name: str) -> str:
    """Return a listed name without folders and suffix."""
    return os.path.splitext(name.rpartition("/")[2])[0]
