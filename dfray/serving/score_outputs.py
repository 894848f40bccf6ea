"""What a command that scores files leaves behind: scores and rows of faces in files, and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from dfray import storage
from dfray.errors import UserError
from dfray.serving.examination import Examination
from dfray.serving.face_rows import face_rows
from dfray.serving.inputs import MediaInput
from dfray.serving.score_formats import suffix_of
from dfray.serving.score_store import FaceStore, ScoreStore
from dfray.serving.score_table import FileScore, ScoringModel


@dataclass(frozen=True)
class Outputs:
    """Where to write scores and what is behind them.

    Attributes:
        out: path or URI of the scores: .parquet, .csv or .jsonl; None: none. Inputs that it has are not
            scored again.
        frames: path or URI of the table of faces, as `out`; without `out` it is made anew.
        report: path or URI of the page, HTML; None: none.
        truths: input -> what is known of it, for the page.
        earlier: filled with the outcomes of the inputs that `out` had.
    """

    out: str | None = None
    frames: str | None = None
    report: str | None = None
    truths: Mapping[str, str] = field(default_factory=dict)
    earlier: Counter[str] = field(default_factory=Counter)

    def require_sound(self) -> None:
        """Raise a UserError if a file has another suffix, or one is named twice."""
        for option, uri in (("--out", self.out), ("--frames", self.frames)):
            if uri is not None:
                suffix_of(uri, option)
        named = [storage.absolute(uri) for uri in (self.out, self.frames, self.report) if uri]
        if len(set(named)) < len(named):
            raise UserError(
                f"--out, --frames and --report name one file: {', '.join(sorted(set(named)))}.",
                "Give each a file of its own.",
            )


class KeptResults:
    """Scores and rows of faces while they come."""

    def __init__(
        self, scores: ScoreStore | None, faces: FaceStore | None, earlier: Counter[str]
    ) -> None:
        self._scores, self._faces, self._earlier = scores, faces, earlier

    @classmethod
    @contextmanager
    def of(cls, outputs: Outputs, model: ScoringModel) -> Iterator[KeptResults]:
        """Yield the results that are kept; the files are made at the end of the block.

        Raises:
            LockedError: another command writes to one of the files.
            UserError: one has scores of another model.
            SchemaError: one has another table.
        """
        with ExitStack() as stack:
            scores = faces = None
            if outputs.out is not None:
                scores = ScoreStore(outputs.out, model)
                stack.enter_context(scores.opened())
            if outputs.frames is not None:
                faces = FaceStore(outputs.frames, model, goes_on=scores is not None)
                stack.enter_context(faces.opened())
            yield cls(scores, faces, outputs.earlier)

    def lacking(self, inputs: Iterable[MediaInput]) -> Iterator[MediaInput]:
        """Yield the inputs whose score, or rows of faces, are wanted and not kept; count the others."""
        for media in inputs:
            kept = self._scores.find(media.uri) if self._scores else None
            if kept is None or (self._faces and kept.n_faces and not self._faces.has(media.uri)):
                yield media
            else:
                self._earlier[kept.outcome] += 1

    def keep(self, examinations: Iterable[Examination]) -> Iterator[FileScore]:
        """Keep each as it comes, and yield its score."""
        for examination in examinations:
            if self._faces:
                self._faces.add(face_rows(examination))
            if self._scores:
                self._scores.add_score(examination.score)
            yield examination.score
