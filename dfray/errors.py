"""Exceptions that users see, and helpers that write their messages.

A message says what happened, with the offending value; the hint says what to do about it. `DfrayError` is
a failure (exit code 1), `UserError` a mistake in the request (exit code 2). All are picklable, so they
cross Ray's processes unchanged. Passwords in their URIs are masked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dfray.text import mask


class DfrayError(Exception):
    """A failure of the work itself.

    Args:
        message: what happened and the offending value.
        hint: what the reader can do about it, as a full sentence.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = mask(message), mask(hint)
        super().__init__(self.message, self.hint)

    def at(self, place: str) -> DfrayError:
        """Return the same error with the place it happened at in front of its message."""
        return type(self)(f"{place}: {self.message}", self.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UserError(DfrayError):
    """A request that cannot be carried out as written; nothing was started."""

    exit_code = 2


class RecipeError(UserError):
    """An invalid recipe, or an invalid override on the command line."""


class ManifestError(UserError):
    """A manifest or a corpus that contradicts itself or lacks what a stage needs."""


class SchemaError(UserError):
    """A table without the columns that its stage promises."""


class ResourceError(UserError):
    """A cluster with fewer resources than the plan needs; Ray would wait without a message."""


class ClusterError(UserError):
    """A cluster that does not answer, refuses the token, or runs another version of Ray."""


class LocalRayError(DfrayError):
    """A local Ray of which a process has died."""


class LockedError(UserError):
    """A folder that another command writes to."""


class CheckError(UserError):
    """A request that the checks before it refuse; the message lists every reason."""


class ModelFileError(UserError):
    """A model file that is missing, is not the expected one, or cannot be loaded."""


class StorageError(DfrayError):
    """A path or URI that cannot be read or written."""


class NoSpaceError(StorageError):
    """A disk or bucket that is full; to try again does not help."""


class DamagedShardError(StorageError):
    """A file of a faces store that is not the one that was committed."""


class ExtractionError(DfrayError):
    """A failure of face extraction as a whole (one video never raises this)."""


class JobError(DfrayError):
    """A submitted job that cannot be followed or stopped; it may be running still."""


class TrainingError(DfrayError):
    """Training that stopped before its end."""


class SearchError(DfrayError):
    """A search without a usable result."""


class EvaluationError(DfrayError):
    """Scores that are missing, doubled or no probabilities, so that no metric may rest on them."""


class RegistryError(DfrayError):
    """A tracking server or model registry that refused a request or cannot be reached."""


_MISSING = "every node needs what requirements.txt names, as the image of infra/Dockerfile has it"
_RAY_CAUSES = ("cause", "_base_exc", "health_check_failure", "controller_failure")
"""Attributes of Ray's errors that hold the error inside."""


def root_error(error: BaseException) -> BaseException:
    """Return the innermost DfrayError in the chain of causes of Ray's error, else the innermost cause."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = _next_cause(cause)
    dfray_errors = [link for link in chain if isinstance(link, DfrayError)]
    with_message = [link for link in chain if str(link).strip()]  # some of Ray's have none
    return (dfray_errors or with_message or chain)[-1]


def explain(error: BaseException, failure: type[DfrayError], message: str, hint: str) -> DfrayError:
    """Return the DfrayError inside an error of Ray's, or a `failure` with the first line of its root."""
    cause = root_error(error)
    if isinstance(cause, DfrayError):
        return cause
    return failure(f"{message}: {first_line(cause)}.", hint)


def first_line(error: BaseException, *, with_type: bool = True) -> str:
    """Return the first line of the error's message without its full stop, after the name of its type.

    Ray and torch append pages to theirs. The line of an ImportError ends with how nodes get the package.
    """
    line = mask(str(error)).strip().partition("\n")[0].rstrip(".")
    if with_type or not line:
        line = f"{type(error).__name__}: {line}".removesuffix(": ")
    return f"{line} ({_MISSING})" if isinstance(error, ImportError) else line


def did_you_mean(
    name: str, candidates: Iterable[str], *, limit: int = 1, cutoff: float = 0.6
) -> str:
    """Return "Did you mean A, B?" with the candidates nearest to `name`, or an empty string.

    Args:
        limit: candidates to list at most.
        cutoff: similarity (difflib's ratio, 0..1) that a candidate must reach.
    """
    near = difflib.get_close_matches(name, list(candidates), n=limit, cutoff=cutoff)
    return f"Did you mean {', '.join(near)}?" if near else ""


def _next_cause(error: BaseException) -> BaseException | None:
    failures: dict[int, BaseException] = getattr(error, "worker_failures", None) or {}
    if failures:
        return next(iter(failures.values()))
    causes = (getattr(error, name, None) for name in _RAY_CAUSES)
    return next((cause for cause in causes if isinstance(cause, BaseException)), error.__cause__)
