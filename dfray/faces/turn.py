"""Turn of a run to extract into a store of faces that others may extract into, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dfray.progress import ASIDE, stage
from dfray.storage import Lock

POLL_S = 2.0

CountDone = Callable[[], tuple[int, int]]
"""Counts the videos whose faces are stored, and all videos."""


@dataclass(frozen=True)
class Turn:
    """Turn of a run in a store.

    Attributes:
        is_due: videos are missing: this run extracts them.
        end: ends the turn before its block does, once the last video is extracted; any thread may call it.
    """

    is_due: bool = False
    end: Callable[[], None] = lambda: None


@contextmanager
def extraction_turn(store: str, work: str, count_done: CountDone) -> Iterator[Turn]:
    """Lock the store in the block, once nobody else extracts into it; yield the turn.

    The extraction of another process is followed. If it dies, this one takes over; as soon as no video is
    missing, a turn that is not due is yielded, without the lock.

    Args:
        store: URI of the store.
        work: NAME/KEY of the run, which other processes are told of.

    Raises:
        StorageError: the store cannot be written, or its lock was lost in the block.
    """
    lock = Lock(store, work)
    if not _is_due(count_done) or not _await_turn(lock, count_done):
        yield Turn()
        return
    with lock.held() as end:
        yield Turn(_is_due(count_done), end)


def _await_turn(lock: Lock, count_done: CountDone) -> bool:
    """Take the lock, after its present holder if there is one; return False once no video is missing."""
    holder = lock.take()
    if holder is None:
        return True
    with stage("follow") as line:
        line.say(f"follows the extraction of {holder}")
        while holder is not None and _is_due(count_done):
            line.update(detail=_counted(count_done))
            time.sleep(POLL_S)
            holder = lock.take()
        line.finish(_counted(count_done), ASIDE)
    return holder is None


def _counted(count_done: CountDone) -> str:
    done, total = count_done()
    return f"{done:,} of {total:,} videos have faces"


def _is_due(count_done: CountDone) -> bool:
    done, total = count_done()
    return done < total
