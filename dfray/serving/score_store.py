"""Scores of inputs in a file, all of one model, and the rows of their faces in another."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dfray.errors import UserError
from dfray.serving.face_rows import FACE_SCORES
from dfray.serving.row_store import COMMIT_S, RowStore
from dfray.serving.score_table import FILE_SCORES, FileScore, ScoringModel
from dfray.tables import TableSpec

_IDENTITY = ("model", "version", "checksum", "threshold")
"""Columns that tell models apart; a table of faces lacks the last."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an input: the outcome, and the number of its faces."""

    outcome: str
    n_faces: int


class _ModelStore(RowStore):
    """RowStore whose rows are all of one model.

    Args:
        model: that scores; rows of another are refused.
    """

    def __init__(
        self, uri: str, spec: TableSpec, option: str, model: ScoringModel, **more: Any
    ) -> None:
        super().__init__(uri, spec, option, **more)
        self._model, self._option = model, option

    def _note(self, table: pa.Table) -> None:
        """Take note of rows that are there.

        Raises:
            UserError: they are of another model, version or threshold.
        """
        columns = [table[name].to_pylist() for name in _IDENTITY if name in table.column_names]
        model = self._model
        identity: tuple[Any, ...] = (model.name, model.version, model.checksum, model.threshold)
        expected = identity[: len(columns)]
        for found in set(zip(*columns, strict=True)) - {expected}:
            raise UserError(
                f"{self.uri} has rows of {_described(*found)}; this would be {_described(*expected)}.",
                f"Name another {self._option}, score with --model models:/{found[0]}/{found[1]}, or remove "
                f"{self.uri} and {self._parts}.",
            )


class ScoreStore(_ModelStore):
    """FILE_SCORES at `uri`, all of one model."""

    def __init__(self, uri: str, model: ScoringModel, commit_s: float = COMMIT_S) -> None:
        super().__init__(uri, FILE_SCORES, "--out", model, commit_s=commit_s)
        self._kept: dict[str, Kept] = {}

    def find(self, name: str) -> Kept | None:
        """Return what is kept of an input; None: it has no score."""
        return self._kept.get(self.key_of(name))

    def add_score(self, score: FileScore) -> None:
        """Add the score of an input that has none."""
        self._kept.setdefault(self.key_of(score.input), Kept(score.outcome, score.n_faces))
        self.add([score.row()])

    def _note(self, table: pa.Table) -> None:
        super()._note(table)
        columns = (table[name].to_pylist() for name in ("input", "outcome", "n_faces"))
        for name, outcome, n_faces in zip(*columns, strict=True):
            self._kept.setdefault(self.key_of(name), Kept(sys.intern(outcome), n_faces))


class FaceStore(_ModelStore):
    """FACE_SCORES at `uri`, all of one model."""

    def __init__(
        self, uri: str, model: ScoringModel, *, goes_on: bool, commit_s: float = COMMIT_S
    ) -> None:
        super().__init__(uri, FACE_SCORES, "--frames", model, goes_on=goes_on, commit_s=commit_s)
        self._names: set[str] = set()

    def has(self, name: str) -> bool:
        """Return True if rows of the input are kept."""
        return self.key_of(name) in self._names

    def _note(self, table: pa.Table) -> None:
        super()._note(table)
        self._names.update(map(self.key_of, table["input"].unique().to_pylist()))


def _described(name: str, version: str, checksum: str, threshold: float | None = None) -> str:
    at = "" if threshold is None else f" with the threshold {threshold:.6g}"
    return f"models:/{name}/{version}{at} (weights {checksum[:12]})"
