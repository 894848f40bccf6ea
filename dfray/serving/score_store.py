"""Scores of inputs in a file, all of one model, and the rows of their faces in another."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pyarrow as pa

from dfray.errors import UserError
from dfray.serving.face_rows import FACE_SCORES
from dfray.serving.row_store import COMMIT_S, RowStore
from dfray.serving.score_table import FILE_SCORES, FileScore, ScoringModel


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an input: the outcome, and the number of its faces."""

    outcome: str
    n_faces: int


class ScoreStore(RowStore):
    """FILE_SCORES at `uri`, as of a RowStore.

    Args:
        model: that scores; scores of another are refused.
    """

    def __init__(self, uri: str, model: ScoringModel, commit_s: float = COMMIT_S) -> None:
        super().__init__(uri, FILE_SCORES, "--out", commit_s=commit_s)
        self._model = model
        self._kept: dict[str, Kept] = {}

    def find(self, name: str) -> Kept | None:
        """Return what is kept of an input; None: it has no score."""
        return self._kept.get(self.key_of(name))

    def add_score(self, score: FileScore) -> None:
        """Add the score of an input that has none."""
        self._kept.setdefault(self.key_of(score.input), Kept(score.outcome, score.n_faces))
        self.add([score.row()])

    def _note(self, table: pa.Table) -> None:
        """Take note of rows that are there.

        Raises:
            UserError: they are of another model, version or threshold.
        """
        self._require_model(table)
        columns = (table[name].to_pylist() for name in ("input", "outcome", "n_faces"))
        for name, outcome, n_faces in zip(*columns, strict=True):
            self._kept.setdefault(self.key_of(name), Kept(sys.intern(outcome), n_faces))

    def _require_model(self, table: pa.Table) -> None:
        expected = self._model
        columns = (
            table[name].to_pylist() for name in ("model", "version", "checksum", "threshold")
        )
        for name, version, checksum, threshold in set(zip(*columns, strict=True)):
            found = ScoringModel(name, version, checksum, threshold, "")
            if _identity(found) != _identity(expected):
                raise UserError(
                    f"{self.uri} has scores of {found} with the threshold {threshold:.6g} (weights "
                    f"{checksum[:12]}); this would be {expected} with {expected.threshold:.6g} (weights "
                    f"{expected.checksum[:12]}).",
                    f"Name another --out, score with --model {found}, or remove {self.uri} and "
                    f"{self._parts}.",
                )


class FaceStore(RowStore):
    """FACE_SCORES at `uri`, as of a RowStore."""

    def __init__(self, uri: str, *, goes_on: bool, commit_s: float = COMMIT_S) -> None:
        super().__init__(uri, FACE_SCORES, "--frames", goes_on=goes_on, commit_s=commit_s)
        self._names: set[str] = set()

    def has(self, name: str) -> bool:
        """Return True if rows of the input are kept."""
        return self.key_of(name) in self._names

    def _note(self, table: pa.Table) -> None:
        self._names.update(map(self.key_of, table["input"].unique().to_pylist()))


def _identity(model: ScoringModel) -> tuple[str, str, str, float]:
    return model.name, model.version, model.checksum, model.threshold
