"""Termination by a signal: SIGTERM and SIGHUP interrupt a command as Ctrl-C does, with their own exit codes.

SIGTERM comes from `dfray stop`, `kill` and schedulers, SIGHUP from a terminal that is closed. Both leave a
run that resumes, and MLflow runs that have ended.
"""

from __future__ import annotations

import signal
import threading

CTRL_C = 130
"""Exit code after SIGINT: 128 and the signal's number, as of a shell."""
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []


def interrupt_on_signals() -> None:
    """Let the signals raise KeyboardInterrupt in the main thread; other threads change nothing.

    A signal that is ignored, as SIGHUP under nohup, stays so. Ray's own handler of SIGTERM exits at once, so
    this is called again after Ray has started.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _received.clear()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def interrupt_main_thread() -> None:
    """Raise KeyboardInterrupt in the main thread, also out of a wait, if its signals raise it."""
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def exit_code() -> int:
    """Return the code of an interrupted command: 143 after SIGTERM, 129 after SIGHUP, 130 after Ctrl-C."""
    return 128 + _received[-1] if _received else CTRL_C


def _interrupt(number: int, frame: object) -> None:
    del frame
    _received.append(number)
    raise KeyboardInterrupt
