"""Lock of a folder: one process at a time writes there, on a disk, on NFS and in a bucket.

The record lies in <folder>/lock. It names its holder and is renewed by a thread. A lock passes to the next
process once its holder has ended on the same machine, or has not renewed it for LIMIT_S by the clock of the
store. A holder that cannot renew its lock is stopped, since by then another may write there.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace

from dfray.errors import LockedError, StorageError
from dfray.notes import note, warn
from dfray.storage.exclusive_file import Content, exclusive_file
from dfray.storage.filesystems import absolute, join
from dfray.storage.lock_holder import FREE, Holder

RENEW_S = 10.0
LIMIT_S = 90.0
SILENT_S = 15.0
"""A living holder has renewed its lock by then."""
POLL_S = 1.0
_MARGIN = 0.75
"""Fraction of LIMIT_S after which a holder that cannot reach the store stops by itself."""
_STOP = signal.SIGUSR2
_HELD: ContextVar[frozenset[Lock]] = ContextVar("held", default=frozenset())

_TAKEN: set[str] = set()
"""Tokens of the locks that this process has, or is about to have."""


class Lock:
    """Lock of one folder; making one reads and writes nothing.

    Args:
        work: the work that it is taken for, which other processes are told of.
    """

    def __init__(self, folder: str, work: str) -> None:
        self.folder = absolute(folder)
        self._file = exclusive_file(join(self.folder, "lock"))
        self._holder = Holder.this_process(work)
        self._tag: str | None = None
        self._renewed_at = 0.0
        self._is_lost = False
        self._age_s = 0.0

    @property
    def is_silent(self) -> bool:
        """True if the holder that `take` returned last has not renewed the lock as a living one does."""
        return self._age_s > SILENT_S

    def take(self) -> Holder | None:
        """Take the lock, unless another process holds it; return that one, or None.

        Raises:
            StorageError: the folder cannot be written.
        """
        _TAKEN.add(self._holder.token)  # before another thread can read the record
        while self._tag is None:
            content, began = self._file.read(), time.monotonic()
            earlier = None if content is None else Holder.from_json(content.data)
            if content is not None and _is_held(content):
                self._age_s = content.age_s
                _TAKEN.discard(self._holder.token)
                return _holder_in(content)
            tag = content.tag if content else None
            self._tag = self._file.replace(self._holder.to_json(), tag) or self._tag_of_this()
            self._renewed_at = began
        if earlier is not None:
            note(f"· {self.folder}: taken over from {earlier}, which has ended or is out of reach.")
        if not self._file.excludes_others():
            warn(
                f"The store of {self.folder} ignores conditional writes: nothing keeps two commands from "
                "writing there at once."
            )
        return None

    @property
    def is_taken(self) -> bool:
        """True from `take` until it is released."""
        return self._tag is not None

    @contextmanager
    def held(self) -> Iterator[Callable[[], None]]:
        """Renew the taken lock while the block runs, and release it at the end.

        Yields:
            A function that releases it earlier, from any thread.

        Raises:
            StorageError: the lock was lost meanwhile; the block was interrupted.
        """
        over, token = threading.Event(), _HELD.set(_HELD.get() | {self})

        def end() -> None:
            if not over.is_set():
                over.set()
                renewing.join()
                self._release()

        try:
            with _stoppable() as stop:
                renewing = threading.Thread(
                    target=self._renew_until, args=(over, stop), daemon=True
                )
                renewing.start()
                try:
                    yield end
                finally:
                    end()
        except (KeyboardInterrupt, Exception) as error:
            if self._is_lost:
                raise self._loss() from error
            raise
        finally:
            _HELD.reset(token)
        if self._is_lost:
            raise self._loss()

    def _renew_until(self, over: threading.Event, stop: Callable[[], None]) -> None:
        while not over.wait(RENEW_S):
            if not self._renew():
                self._is_lost = True
                stop()
                return

    def _renew(self) -> bool:
        """Renew the record; return False once the lock is another's or may be."""
        began = time.monotonic()
        self._holder = replace(self._holder, renewals=self._holder.renewals + 1)
        data = self._holder.to_json()
        try:
            self._tag = self._file.replace(data, self._tag)
            if self._tag is None and (tag := self._tag_of_this()) is not None:
                self._tag = self._file.replace(data, tag)
        except StorageError:  # the store is away for a while
            return time.monotonic() - self._renewed_at < _MARGIN * LIMIT_S
        self._renewed_at = began
        return self._tag is not None

    def _tag_of_this(self) -> str | None:
        """Return the tag of the record if this holder wrote it: the answer to a write may have been lost."""
        content = self._file.read()
        holder = None if content is None else Holder.from_json(content.data)
        is_this = holder is not None and holder.token == self._holder.token
        return content.tag if content is not None and is_this else None

    def _release(self) -> None:
        _TAKEN.discard(self._holder.token)
        if self._is_lost:
            return
        with suppress(
            StorageError
        ):  # on a full disk: other processes have it once this one has ended
            self._file.replace(FREE, self._tag)
        self._tag = None

    def _loss(self) -> StorageError:
        return StorageError(
            f"The lock of {self.folder} was lost: it could not be renewed for {_MARGIN * LIMIT_S:g} s, or "
            "another command has taken it over.",
            "This command was stopped before it wrote over the other's files. Run it again once the store "
            "answers and the other command has ended; finished work is kept.",
        )


@contextmanager
def locked(folder: str, work: str) -> Iterator[None]:
    """Hold the lock of a folder while the block runs; inside a block that holds it already nothing is done.

    Args:
        work: as of `Lock`.

    Raises:
        LockedError: another process holds it; the message names that process.
        StorageError: the folder cannot be written, or the lock was lost meanwhile.
    """
    if _is_held_here(folder):
        yield
        return
    lock = Lock(folder, work)
    holder = lock.take()
    if holder is not None and lock.is_silent:
        note(f"· {lock.folder}: no sign of life of {holder}; waiting for one, or for its end.")
    while holder is not None and lock.is_silent:  # such as a job's that was started again elsewhere
        time.sleep(POLL_S)
        holder = lock.take()
    if holder is not None:
        raise _refusal(lock.folder, holder)
    with lock.held():
        yield


def require_unlocked(folder: str) -> None:
    """Check that no other process holds the lock of a folder, without taking it.

    Raises:
        LockedError: as `locked`.
    """
    holder = holder_of(folder)
    if holder is not None and not _is_held_here(folder):
        raise _refusal(absolute(folder), holder)


def _is_held_here(folder: str) -> bool:
    """Return True inside a block that holds the lock of a folder."""
    return any(lock.is_taken and lock.folder == absolute(folder) for lock in _HELD.get())


def holder_of(folder: str) -> Holder | None:
    """Return the process that holds the lock of a folder; None: nobody does."""
    content = exclusive_file(join(absolute(folder), "lock")).read()
    return _holder_in(content) if content is not None and _is_held(content) else None


def is_surely_over(holder: Holder, folder: str) -> bool:
    """Return True if a process that held the lock of a folder has ended, or was silent for LIMIT_S.

    Nothing is sure of another machine's process that has released its lock, or whose lock is another's now:
    the folder may be one of the same name.
    """
    if holder.has_ended or _is_over(holder):
        return True
    content = exclusive_file(join(absolute(folder), "lock")).read()
    present = None if content is None else Holder.from_json(content.data)
    is_its_record = present is not None and present.token == holder.token
    return is_its_record and content is not None and not _is_held(content)


def _refusal(folder: str, holder: Holder) -> LockedError:
    command = f" ({holder.end_command})" if holder.pid else ""
    return LockedError(
        f"Another command writes to {folder}: {holder}.",
        f"Wait until it has ended, or end it{command}. The lock of a holder that has died passes on: at once "
        f"on the same machine, else after {LIMIT_S:g} s.",
    )


def _is_held(content: Content) -> bool:
    """Return True if a record names a holder that lives, as far as can be known."""
    holder = Holder.from_json(content.data)
    is_dead = holder is not None and (holder.has_ended or _is_over(holder))
    return content.data not in (FREE, b"") and content.age_s <= LIMIT_S and not is_dead


def _is_over(holder: Holder) -> bool:
    """Return True if this process held the lock, and could not write that it released it."""
    return holder.is_this_process and holder.token not in _TAKEN


def _holder_in(content: Content) -> Holder:
    """Return the holder of a record, which may be one that this version cannot read."""
    later = Holder(
        "a command of another version of dfray", "unknown", "", 0, 0.0, "an unknown time"
    )
    return Holder.from_json(content.data) or later


@contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Yield a function by which another thread interrupts this one as Ctrl-C does.

    It does nothing if this is not the main thread. The signal is another one than Ctrl-C's, which shells make
    processes in the background ignore.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    main = threading.get_ident()
    previous = signal.signal(_STOP, _interrupt)
    try:
        yield lambda: signal.pthread_kill(main, _STOP)
    finally:
        signal.signal(_STOP, previous or signal.SIG_DFL)


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt
