"""Command line: `dfray COMMAND`.

Commands read their arguments, call one function of `dfray.stages` and render what it returns. Heavy
imports are inside the commands, so that `dfray --help` takes under half a second.
"""

from __future__ import annotations

import shlex
import sys

from dfray.cli.app import app
from dfray.errors import DfrayError, UserError
from dfray.termination import CTRL_C, exit_code, interrupt_on_signals
from dfray.text import visible

# Importing a module adds its commands; `--help` lists them in this order.
# isort: off
from dfray.cli import pipeline as pipeline
from dfray.cli import reproduction as reproduction
from dfray.cli import extraction as extraction
from dfray.cli import training as training
from dfray.cli import evaluation as evaluation
from dfray.cli import search as search
from dfray.cli import registry as registry
from dfray.cli import published as published
from dfray.cli import scoring as scoring
from dfray.cli import serve as serve
from dfray.cli import runs as runs
from dfray.cli import plan as plan
from dfray.cli import jobs as jobs
from dfray.cli import doctor as doctor
from dfray.cli import data as data
from dfray.cli import recipes as recipes
from dfray.cli import face_models as face_models
# isort: on


def main(*command: str) -> None:
    """Run the command line and exit: code 0, 2 for a mistake in the request, or 1 for a failure.

    A signal's code is 128 and its number: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

    Args:
        command: words in front of the arguments of the command line, for the scripts in jobs/.
    """
    interrupt_on_signals()
    try:
        code = app([*command, *sys.argv[1:]], standalone_mode=False)
        if code == CTRL_C:  # Typer's return value for a KeyboardInterrupt
            print(_stopped([*command, *sys.argv[1:]]), file=sys.stderr)
            sys.exit(exit_code())
        sys.exit(code if isinstance(code, int) else 0)
    except DfrayError as error:
        _fail(error, error)
    except Exception as error:
        usage = getattr(error, "show", None)
        if callable(usage):  # Typer's own usage errors print themselves
            usage()
            sys.exit(getattr(error, "exit_code", 2))
        from dfray.errors import root_error

        _fail(root_error(error), error)


def _stopped(arguments: list[str]) -> str:
    """Return how to go on after an interruption."""
    if arguments[:1] == ["search"]:
        resumed = arguments if "--resume" in arguments else [*arguments, "--resume"]
        return f"Stopped. Resume: {shlex.join(['dfray', *resumed])}"
    if arguments[:1] == ["serve"]:
        return "Stopped."
    return "Stopped. Run the same command again to resume."


def _fail(cause: BaseException, error: BaseException) -> None:
    """Print the cause of an error in one line, and exit with its code."""
    log = _log_of(error)
    if isinstance(cause, DfrayError):
        message, code = str(cause), cause.exit_code
    else:
        from dfray.errors import first_line

        message, code = first_line(cause), 1
        log = log or "--verbose shows the traceback"
    message += f" ({log})" if log else ""
    kind = "error" if isinstance(cause, UserError) else "failed"
    print(visible(f"dfray: {kind}: {_failed_stage(error)}{message}"), file=sys.stderr)
    sys.exit(code)


def _failed_stage(error: BaseException) -> str:
    """Return the innermost stage that the error ended, as `stage: `, or an empty string."""
    from dfray.progress import STAGE_NOTE

    notes = [note for note in getattr(error, "__notes__", []) if note.startswith(STAGE_NOTE)]
    return f"{notes[0].removeprefix(STAGE_NOTE)}: " if notes else ""


def _log_of(error: BaseException) -> str:
    """Return `log: URI` of the run that the error ended, or an empty string."""
    from dfray.command_log import LOG_NOTE

    return next((n for n in getattr(error, "__notes__", []) if n.startswith(LOG_NOTE)), "")
