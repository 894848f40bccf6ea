"""Output of a reader: rows of VIDEOS, the files that its rules leave out, and remarks on both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from dfray.config import CorpusSection
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL

LABEL_OF = {"real": REAL, "0": REAL, "fake": FAKE, "1": FAKE}


class OptionalColumns(TypedDict, total=False):
    """Columns that only some corpora fill.

    `listed_in` is no column: the file and line that gives the label, for a contradiction's message.
    """

    source_video: str | None
    identity: str | None
    identity_group: str | None
    attributes: str | None
    duration_s: float | None
    licence: str | None
    kind: str
    stride: int
    n_images: int
    stamp: str | None
    listed_in: str


class VideoRow(OptionalColumns):
    """One row of VIDEOS; its columns are described in `dfray.tables`."""

    video_id: str
    uri: str
    dataset: str
    split: str
    label: int
    category: str
    method: str


@dataclass(frozen=True)
class LeftOut:
    """A file that gives no row; counted by dataset, suffix and reason.

    Attributes:
        uri: of the file, as an example; not compared. None: a list names it, and no file is known.
        suffix: of the file, such as `.mp4`; None: the reason is of a row of a list, whatever its file.
    """

    dataset: str
    reason: str
    uri: str | None = field(default=None, compare=False)
    suffix: str | None = None


@dataclass(frozen=True)
class Remark:
    """A decision about a video's row that is not the corpus's own, such as a drawn split; counted by text."""

    dataset: str
    text: str


def video_row(
    corpus: CorpusSection,
    dataset: str,
    *,
    uri: str,
    method: str,
    stem: str,
    split: str,
    category: str,
    **columns: Unpack[OptionalColumns],
) -> VideoRow:
    """Return a row of VIDEOS, its id and label derived; the recipe's licence replaces the reader's."""
    return {
        **columns,
        "video_id": f"{dataset}/{method}/{stem}",
        "dataset": dataset,
        "split": split,
        "label": REAL if category == "real" else FAKE,
        "category": category,
        "method": method,
        "uri": uri,
        "licence": corpus.licence or columns.get("licence"),
    }


def label_of(text: str, where: str) -> int:
    """Return 0 for real and 1 for fake, however it is written.

    Args:
        where: file and line, for the message.

    Raises:
        ManifestError: the text is neither.
    """
    try:
        return LABEL_OF[text.strip().lower()]
    except KeyError:
        raise ManifestError(
            f"{where}: unknown label {text!r}.", "A label is real or fake, 0 or 1."
        ) from None
