"""Inputs of `dfray score`: files, folders, patterns, prefixes of a bucket, lists, and standard input.

They are expanded while they are scored: a bucket of a million videos is never listed whole.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dfray import storage
from dfray.datasets.files import NOT_UTF8, is_utf8
from dfray.datasets.named_rows import named_rows, place_of
from dfray.datasets.suffixes import is_of_macos, is_picture, is_video
from dfray.errors import UserError
from dfray.notes import warn
from dfray.tables import KINDS, Row

STANDARD_INPUT = "-"
_LISTS = (".csv", ".parquet")
_STRIDE = re.compile("[1-9][0-9]{0,8}")
_FORMS = "Name a video, a picture, a folder, a quoted pattern, a .csv or .parquet list, or `-`."


@dataclass(frozen=True)
class MediaInput:
    """One video or picture to score.

    Attributes:
        uri: s3://… or an absolute path; of an odd row of a list, the list and the row's number.
        kind, stride: as in VIDEOS; a folder of frames that a manifest lists is one video.
        fault: what is wrong with the row; None: nothing.
    """

    uri: str
    kind: str = "video"
    stride: int = 1
    fault: str | None = None


def expand_inputs(names: Iterable[str], lines: Iterable[str] | None = None) -> Iterator[MediaInput]:
    """Return the videos and pictures that are named, each once, in the order of the names.

    A folder gives the videos and pictures in it and below, sorted folder by folder; a pattern those that
    match; a CSV or Parquet file those of its column `uri`, `video` or `input`; `-` those of `lines`. Any
    other name is one file, whatever it is called, and whether or not it exists. A row of a list that names no
    file, or has no such kind or stride, is an input with a fault.

    Args:
        lines: names, one a line, for `-`; by default standard input.

    Raises:
        UserError: a folder, pattern or list has no video and no picture, or a list has no such column. Each
            is looked at as far as its first file before this returns.
    """
    lines = sys.stdin if lines is None else lines
    return _distinct(itertools.chain.from_iterable([_begun(name, lines) for name in names]))


def _begun(name: str, lines: Iterable[str]) -> Iterable[MediaInput]:
    """Return the inputs of one name, after a look for the first of them."""
    if name == STANDARD_INPUT:  # whoever writes them may wait for the first scores
        return (_file(line) for line in map(_without_end, lines) if line)
    found = _inputs_of(name)
    first = next(found, None)
    if first is None:
        raise UserError(f"{name} gives no video and no picture.", _FORMS)
    return itertools.chain([first], found)


def _inputs_of(name: str) -> Iterator[MediaInput]:
    if storage.is_pattern(name) and not storage.exists(name):
        yield from map(MediaInput, filter(_is_media, storage.match_files(name)))
    elif name.lower().endswith(_LISTS):
        yield from _listed(storage.absolute(name))
    elif _is_folder(name):
        yield from map(MediaInput, filter(_is_media, storage.walk_files(storage.absolute(name))))
    else:
        yield _file(name)


def _file(name: str) -> MediaInput:
    return MediaInput(storage.absolute(name))


def _without_end(line: str) -> str:
    return line.rstrip("\r\n")


def _is_folder(name: str) -> bool:
    """Return True for a folder of this machine, and for a URI that has no suffix of a file to score."""
    if not storage.is_remote(name):
        return os.path.isdir(storage.absolute(name))
    return name.endswith("/") or not _is_media(name)


def _is_media(uri: str) -> bool:
    """Return True for a video or a picture whose name can be stored; a warning names what cannot."""
    if not (is_video(uri) or is_picture(uri)) or is_of_macos(uri):
        return False
    if not is_utf8(uri):
        warn(f"{storage.printable(uri)} is left out: {NOT_UTF8}.")
        return False
    return True


def _distinct(inputs: Iterable[MediaInput]) -> Iterator[MediaInput]:
    seen = set()
    for item in inputs:
        if item.uri not in seen:
            seen.add(item.uri)
            yield item


def _listed(uri: str) -> Iterator[MediaInput]:
    """Yield the inputs of a list, a few thousand rows at a time."""
    for number, row in enumerate(named_rows(uri, ("kind", "stride")), 1):
        yield _listed_input(row, uri, number)


def _listed_input(row: Row, uri: str, number: int) -> MediaInput:
    name, kind, stride = row["name"], row.get("kind") or "video", row.get("stride") or 1
    if fault := _fault_of(name, kind, stride):
        return MediaInput(f"{uri}, row {number}", fault=f"Row {number} of the list: {fault}")
    return MediaInput(place_of(uri, name), kind, int(stride))


def _fault_of(name: object, kind: object, stride: object) -> str | None:
    """Return what is wrong with a row of a list, and how to mend it; None: nothing."""
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        return f"{name!r} names no file; give the name of a video or a picture."
    if kind not in KINDS:
        return f"the kind of {name} is {kind!r}; it is {', '.join(KINDS[:-1])} or {KINDS[-1]}."
    if not _STRIDE.fullmatch(str(stride)):
        return f"the stride of {name} is {stride!r}; give a whole number of 1 or more."
    return None
