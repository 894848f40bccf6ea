"""What readers yield: rows of VIDEOS, and what the rules of a corpus leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dfray.config import CorpusSection
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL

LABEL_WORDS = {"real": REAL, "0": REAL, "fake": FAKE, "1": FAKE}


@dataclass(frozen=True)
class LeftOut:
    """A video of the corpus that its rules leave out; counted by reason."""

    dataset: str
    reason: str


def video_row(
    corpus: CorpusSection,
    dataset: str,
    *,
    uri: str,
    method: str,
    stem: str,
    split: str,
    category: str,
    **more: Any,
) -> dict[str, Any]:
    """A row of VIDEOS, its id and label made of the rest; `more` are further columns."""
    return {
        "video_id": f"{dataset}/{method}/{stem}",
        "dataset": dataset,
        "split": split,
        "label": REAL if category == "real" else FAKE,
        "category": category,
        "method": method,
        "uri": uri,
    } | (more | {"licence": corpus.licence or more.get("licence")})


def label_of(text: str, where: str) -> int:
    """0 for real, 1 for fake, however it is written.

    Raises:
        ManifestError: the text is neither; `where` is told.
    """
    try:
        return LABEL_WORDS[text.strip().lower()]
    except KeyError:
        raise ManifestError(
            f"{where}: unknown label {text!r}.", "A label is real or fake, 0 or 1."
        ) from None
