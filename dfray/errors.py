"""The one family of errors that users see: what happened, with which value, and how to mend it.

`DfrayError` is a failure (exit code 1); `UserError` is a mistake in what was asked (exit code 2).
All are picklable, so they cross Ray's processes unchanged.
"""

from __future__ import annotations


class DfrayError(Exception):
    """A failure of the work itself.

    Args:
        message: what happened and the offending value.
        mend: what the reader can do about it, as a full sentence.
    """

    exit_code = 1

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message, mend)
        self.message = message
        self.mend = mend

    def at(self, place: str) -> DfrayError:
        """The same error, beginning with where it happened."""
        return type(self)(f"{place}: {self.message}", self.mend)

    def __str__(self) -> str:
        return f"{self.message} {self.mend}".strip()


class UserError(DfrayError):
    """What was asked for cannot be done as asked; nothing was started."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe, or an override on the command line, is not valid."""


class ManifestError(UserError):
    """A manifest or a corpus contradicts itself or lacks what a stage needs."""


class SchemaError(UserError):
    """A table does not have the columns that its stage promises."""


class ResourceError(UserError):
    """The cluster has less than the plan needs; Ray would wait without a word."""


class ClusterError(UserError):
    """A cluster does not answer, lets nobody in with this token, or runs another Ray."""


class ModelFileError(UserError):
    """A model file is missing, is not the one expected, or cannot be loaded."""


class StorageError(DfrayError):
    """A path or URI cannot be read or written."""


class ExtractionError(DfrayError):
    """Face extraction as a whole failed (one video never raises this)."""


class JobError(DfrayError):
    """A submitted job cannot be followed or stopped; it may be running still."""


class TrainingError(DfrayError):
    """Training stopped before its end."""


class SearchError(DfrayError):
    """A search found nothing that can be used."""


class EvaluationError(DfrayError):
    """Scores are missing, doubled or no probabilities; no figure may rest on them."""


class RegistryError(DfrayError):
    """The tracking server or the model registry refused or cannot be reached."""
