"""Scores of files by a registered model, the champion by default, with their cost in time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dfray.faces.version import version_note
from dfray.models.bundle_description import read_faces_version
from dfray.registry.champion import find_version
from dfray.serving.admission import Admission
from dfray.tracking.client import talking

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


@dataclass(frozen=True)
class FileScore:
    """The model's score of one picture or video.

    Attributes:
        file: as it was named.
        outcome: ok, no_face, unreadable, crashed or timed_out.
        reason: why it is not ok.
        fake_probability: by the model's own video rule (the mean over the faces, or the highest mean of a
            person), 0..1; None without a face.
        label: real or fake, by the model's threshold; None without a face.
        n_frames, n_faces: sampled frames, and faces found in them.
        video_s: length of the video, seconds; None for a picture file, or if nothing could be decoded.
        work_s: wall time of decoding, finding and scoring, seconds; loading the model is not in it.
        faces_per_s: faces over seconds of work.
        work_per_video_s: seconds of work for a second of video; below 1 is faster than real time.
        faces_note: difference between the faces that the model learned from and those scored, if any.
    """

    file: str
    outcome: str
    reason: str | None
    fake_probability: float | None
    label: str | None
    n_frames: int
    n_faces: int
    video_s: float | None
    work_s: float
    faces_per_s: float | None
    work_per_video_s: float | None
    faces_note: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any], faces_note: str | None = None) -> Self:
        """Return the score in a row of the registered model's result."""
        row = {name: None if value != value else value for name, value in row.items()}  # NaN
        work, video = row["work_s"], row["video_s"]
        return cls(
            file=row.pop("input"),
            **row,
            faces_per_s=row["n_faces"] / work if row["n_faces"] else None,
            work_per_video_s=work / video if video else None,
            faces_note=faces_note,
        )


def score_files(
    files: Iterable[str], *, model_uri: str | None = None, tracking_uri: str
) -> list[FileScore]:
    """Score pictures and videos, local or s3://, in the order given.

    Args:
        model_uri: models:/NAME@ALIAS or models:/NAME/VERSION; by default the champion, if one model
            only has one.

    Raises:
        UserError: there is no such model, alias or version. A file that cannot be read raises nothing:
            its row has the reason.
        RegistryError: MLflow cannot give the model.
    """

    versions, version = find_version(model_uri, tracking_uri)
    with versions.downloaded(version) as folder, _loaded(folder) as model:
        note = version_note(read_faces_version(folder / "artifacts" / "bundle"))
        rows = [model.predict([str(file)]).to_dict("records")[0] for file in files]
    return [FileScore.from_row(row, note) for row in rows]


@contextmanager
def _loaded(folder: Path) -> Iterator[PyFuncModel]:
    with talking(f"load {folder}"):
        import mlflow.pyfunc  # it warns as it is imported

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the scores carry the note on faces of another version
            model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    detector = model.unwrap_python_model()
    detector.scorer.admission = Admission()  # the user's own files, with the user's own rights
    try:
        yield model
    finally:
        detector.close()
