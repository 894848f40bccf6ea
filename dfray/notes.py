"""Notes to the user on stderr, beside results on stdout; `quietly` keeps them back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


def is_quiet() -> bool:
    """Return True inside `quietly`."""
    return _QUIET.get()


@contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """Print no note and no progress inside the block; warnings and errors are printed."""
    token = _QUIET.set(quiet)
    try:
        yield
    finally:
        _QUIET.reset(token)


def note(text: str) -> None:
    """Print a line to stderr, unless notes are kept back."""
    if not is_quiet():
        print(text, file=sys.stderr)
