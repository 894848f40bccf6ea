"""What Ray's processes write to stderr, kept for the log of a command that fails.

Ray publishes what workers, raylet and GCS of all nodes write, and a driver that subscribes would print it.
The session of a local Ray is removed with its files, so that what is not kept is lost.
"""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfray.command_log import current_log

if TYPE_CHECKING:
    from dfray.command_log import CommandLog

_PRINTING = "ray_print_logs"
"""Name that Ray gives the handler which prints, and by which it removes its handlers at the end."""
_LATE_S = 1.0
"""Ray looks for new lines every tenth of a second, and for the files of new processes twice a second."""
_INFORMATION = re.compile(r"\s*$|\[[\d :,-]+ I \d")
"""Start of a line that tells of no error: it is empty, or Ray logs it as information."""
_START_LINES = 20
_START_FILES = ("gcs_server.out", "gcs_server.err", "raylet.out", "raylet.err")


def is_logged() -> bool:
    """Return True if this command has a log, for which Ray's output is asked for."""
    return current_log() is not None


def keep_errors(*, shown: bool) -> None:
    """Keep what Ray's processes write to stderr from now on, until Ray is shut down.

    Args:
        shown: print it as well, with what they write to stdout.
    """
    from ray._private.ray_logging import global_worker_stdstream_dispatcher as output

    log = current_log()
    if not shown:
        output.remove_handler(_PRINTING)
    if log is not None:
        output.add_handler(_PRINTING, partial(_keep, log))


def await_late_errors() -> None:
    """Wait for what was written until now, which Ray hands on a while later."""
    if is_logged():
        time.sleep(_LATE_S)


def keep_start_errors(folder: str | None) -> None:
    """Keep the last lines of a local Ray that did not start.

    Args:
        folder: of its session; None: it is not local.
    """
    log = current_log()
    if log is None or folder is None:
        return
    for name in _START_FILES:
        file = Path(folder, "session_latest", "logs", name)
        lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
        for line in lines[-_START_LINES:]:
            log.keep(f"({name}) {line}")


def _keep(log: CommandLog, output: dict[str, Any]) -> None:
    """Keep lines as Ray publishes them, with the process that wrote them."""
    if output["is_err"]:
        name = output.get("actor_name") or output.get("task_name") or "Ray"
        for line in output["lines"]:
            if not _INFORMATION.match(line):
                log.keep(f"({name} pid={output['pid']}, ip={output['ip']}) {line}")
