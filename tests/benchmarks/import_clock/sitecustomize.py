"""With this folder on PYTHONPATH every process notes the CPU seconds of its imports in a file by its id.

The files lie in the folder that FOLDER names. Python imports a module of this name when it starts.
"""

from __future__ import annotations

import importlib._bootstrap as bootstrap  # type: ignore[import-not-found]
import os
import threading
import time
from typing import Any

FOLDER = os.environ["DFRAY_IMPORT_CLOCK"]
WORTH_NOTING_S = 0.001

_find_and_load = bootstrap._find_and_load
_thread = threading.local()
_spent_s = 0.0


def _timed(name: str, import_: Any) -> Any:
    """Import one module and add its CPU time; nested imports are part of the outermost one's."""
    global _spent_s
    if getattr(_thread, "is_importing", False):
        return _find_and_load(name, import_)
    _thread.is_importing, start_s = True, time.thread_time()
    try:
        return _find_and_load(name, import_)
    finally:
        _thread.is_importing = False
        took_s = time.thread_time() - start_s
        _spent_s += took_s
        if took_s > WORTH_NOTING_S:
            with open(f"{FOLDER}/{os.getpid()}", "w") as file:
                file.write(f"{_spent_s:.3f}")


def _start_anew() -> None:
    """Reset the clock of a forked child: its parent's imports are not its own."""
    global _spent_s
    _spent_s = 0.0


bootstrap._find_and_load = _timed
os.register_at_fork(after_in_child=_start_anew)
