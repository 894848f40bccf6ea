"""The one family of errors that users see: what happened, with which value, and a hint at the fix.

`DfrayError` is a failure (exit code 1); `UserError` is a mistake in what was asked (exit code 2).
All are picklable, so they cross Ray's processes unchanged.
"""

from __future__ import annotations


class DfrayError(Exception):
    """A failure of the work itself.

    Args:
        message: what happened and the offending value.
        hint: what the reader can do about it, as a full sentence.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def at(self, place: str) -> DfrayError:
        """The same error, beginning with where it happened."""
        return type(self)(f"{place}: {self.message}", self.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


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


_MISSING = "every node needs what requirements.txt names, as the image of infra/Dockerfile has it"


def root_error(error: BaseException) -> BaseException:
    """The innermost DfrayError in the causes of what Ray raised, or else the innermost cause."""
    seen: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and here not in seen:
        seen.append(here)
        here = _next_cause(here)
    ours = [found for found in seen if isinstance(found, DfrayError)]
    telling = [found for found in seen if str(found).strip()]  # some of Ray's say nothing
    return (ours or telling or seen)[-1]


def explain(error: BaseException, failure: type[DfrayError], what: str, hint: str) -> DfrayError:
    """What to raise for something that Ray raised: our own error inside it, or a `failure`."""
    cause = root_error(error)
    if isinstance(cause, DfrayError):
        return cause
    return failure(f"{what}: {first_line(cause)}.", hint)


def first_line(error: BaseException) -> str:
    """What the error says, without the pages that Ray and torch add; of a missing package, what to do."""
    told = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].rstrip('.')}"
    return f"{told} ({_MISSING})" if isinstance(error, ImportError) else told


def _next_cause(error: BaseException) -> BaseException | None:
    failures = getattr(error, "worker_failures", None)
    if failures:
        return next(iter(failures.values()))
    names = ("cause", "_base_exc", "health_check_failure", "controller_failure")  # of Ray's errors
    inner = (getattr(error, name, None) for name in names)
    return next((found for found in inner if isinstance(found, BaseException)), error.__cause__)
