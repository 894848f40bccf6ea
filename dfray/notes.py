"""Notes to the user on stderr, beside results on stdout; `quietly` keeps them back.

Whoever listens, such as a log, is given every line, those that are kept back too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from dfray.text import visible

_listeners: list[Callable[[str], None]] = []  # no context variable: threads print, too
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


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Call `listener` with each text that is printed inside the block, or kept back."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def emit(text: str) -> None:
    """Give the listeners a text that the caller prints."""
    for listener in _listeners:
        listener(text)


def note(text: str) -> None:
    """Print a line to stderr, unless notes are kept back."""
    emit(text)
    if not is_quiet():
        print(visible(text), file=sys.stderr)


def warn(text: str) -> None:
    """Print a line to stderr, also where notes are kept back."""
    emit(text)
    print(visible(text), file=sys.stderr)
