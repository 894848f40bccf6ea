"""Finding of a check: what is wrong, which value, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dfray.errors import CheckError, DfrayError
from dfray.notes import warn

Severity = Literal["ok", "warn", "refuse"]


@dataclass(frozen=True)
class Finding:
    """Finding of one check.

    Attributes:
        check: name of the check, set by the list that runs it.
        message: what was looked at, with its value.
        hint: how to mend it, as a full sentence; empty: nothing needs mending.
        severity: refuse: a stage would fail, and does not start.
    """

    message: str
    hint: str = ""
    severity: Severity = "refuse"
    check: str = ""

    @classmethod
    def of(cls, error: DfrayError) -> Finding:
        """Return the finding that an error states."""
        return cls(error.message, error.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def named_findings(name: str, find: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of the check `name`, a DfrayError that it raises among them."""
    try:
        for finding in find():
            yield replace(finding, check=name)
    except DfrayError as error:
        yield replace(Finding.of(error), check=name)


def report(findings: Sequence[Finding]) -> None:
    """Print the warnings to stderr, and raise all findings that refuse as one error.

    Raises:
        CheckError: a finding refuses; the message lists all that do.
    """
    for finding in findings:
        if finding.severity == "warn":
            warn(f"warning: {finding}")
    refused = [finding for finding in findings if finding.severity == "refuse"]
    if len(refused) == 1:
        raise CheckError(refused[0].message, refused[0].hint)
    if refused:
        lines = (f"\n  - {finding.check}: {finding}" for finding in refused)
        raise CheckError(f"{len(refused)} problems:{''.join(lines)}")
