"""Errors of Ray's processes, kept for the log of a command that fails.

Ray tells a driver of workers that died, and publishes what workers, raylet and GCS of all nodes write; a
driver that subscribes prints both. The session of a local Ray is removed with its files, so that what is not
kept is lost.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfray.command_log import current_log

if TYPE_CHECKING:
    from dfray.command_log import CommandLog

_LATE_S = 1.0
"""Ray looks for new lines every tenth of a second, and for the files of new processes twice a second."""
_INFORMATION = re.compile(r"\s*$|\[[\d :,-]+ I \d")
"""Start of a line that tells of no error: it is empty, or Ray logs it as information."""
_START_LINES = 20
_START_FILES = ("gcs_server.out", "gcs_server.err", "raylet.out", "raylet.err")


def is_logged() -> bool:
    """Return True if this command has a log, for which Ray's output is asked for."""
    return current_log() is not None


@contextmanager
def errors_kept(*, shown: bool) -> Iterator[None]:
    """Keep the errors of Ray's processes while a session starts and runs in the block.

    Args:
        shown: print them as well, with all that those processes write.
    """
    from ray._private import worker as driver

    log, printing = current_log(), driver.print_to_stdstream
    if log is None:
        yield
        return

    def keep(output: dict[str, Any], ignore_prefix: bool) -> None:
        _keep(log, output)
        if shown:
            printing(output, ignore_prefix)

    driver.print_to_stdstream = keep  # Ray has no place for another printer
    try:
        yield
    finally:
        driver.print_to_stdstream = printing


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
    """Keep lines as Ray hands them to its printer, with the process that wrote them."""
    is_published = "job" in output  # else Ray tells of an error
    if output["is_err"] or not is_published:
        name = output.get("actor_name") or output.get("task_name") or "Ray"
        place = f"pid={output['pid']}, ip={output['ip']}" if is_published else output["pid"]
        for line in "\n".join(output["lines"]).splitlines():
            if not _INFORMATION.match(line):
                log.keep(f"({name} {place}) {line}")
