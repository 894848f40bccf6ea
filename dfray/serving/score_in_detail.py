"""Scores of files by a registered model with what is behind them: a table of faces."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from dfray.registry.champion import find_version
from dfray.serving.admission import Admission
from dfray.serving.examine import examine
from dfray.serving.face_rows import face_scores, require_suffix, write_face_scores
from dfray.serving.score_files import FileScore
from dfray.serving.scorer import MediaScorer


def score_in_detail(
    files: Sequence[str], *, model_uri: str | None = None, tracking_uri: str, frames: str
) -> list[FileScore]:
    """Score pictures and videos one after the other, and write what is behind the scores.

    Args:
        model_uri: as in `score_files`.
        frames: path or URI of the table of faces: .parquet, .csv or .jsonl.

    Raises:
        UserError: there is no such model, alias or version, or a name has another suffix.
        RegistryError: MLflow cannot give the model.
        StorageError: a result cannot be written.
    """
    require_suffix(frames)
    versions, version = find_version(model_uri, tracking_uri)
    with versions.downloaded(version) as folder, _scorer(folder / "artifacts") as scorer:
        scorer.model = replace(scorer.model, name=versions.name, version=version)
        examinations = list(examine(files, scorer))
    write_face_scores(face_scores(examinations), frames)
    return [examination.score for examination in examinations]


@contextmanager
def _scorer(artifacts: Path) -> Iterator[MediaScorer]:
    """Yield the scorer of a package, for the user's own files, with the user's own rights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the scores carry the note on faces of another version
        scorer = MediaScorer(
            str(artifacts / "bundle"), str(artifacts / "face_detector"), Admission()
        )
    with closing(scorer):
        yield scorer
