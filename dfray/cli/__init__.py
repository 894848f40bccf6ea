"""`dfray …`: every stage by name, with the same words here and on a cluster.

Commands read their arguments, call one function of `dfray.stages` and draw what it returns. Imports are
inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys

from dfray.cli.app import app
from dfray.errors import DfrayError, UserError

# Importing a module adds its commands; in this order `--help` lists them.
# isort: off
from dfray.cli import pipeline as pipeline
from dfray.cli import data as data
from dfray.cli import plan as plan
from dfray.cli import training as training
from dfray.cli import search as search
from dfray.cli import registry as registry
from dfray.cli import jobs as jobs
from dfray.cli import face_models as face_models
# isort: on


_CTRL_C = 130
"""What Typer makes of a KeyboardInterrupt."""


def main(*command: str) -> None:
    """Entry point: exit code 0, or 2 for a mistake in what was asked, or 1 for a failure.

    Args:
        command: what stands before the arguments of the command line, for the scripts in jobs/.
    """
    try:
        code = app([*command, *sys.argv[1:]], standalone_mode=False)
        if code == _CTRL_C:
            told = "Run the same command again to go on from here."
            print(f"Stopped. {told} A search takes --resume.", file=sys.stderr)
        sys.exit(code if isinstance(code, int) else 0)
    except DfrayError as error:
        _fail(error, error.exit_code)
    except Exception as error:
        usage = getattr(error, "show", None)
        if callable(usage):  # click's own usage errors know how to show themselves
            usage()
            sys.exit(getattr(error, "exit_code", 2))
        from dfray.errors import root_error

        cause = root_error(error)
        _fail(cause, getattr(cause, "exit_code", 1), error)


def _fail(error: BaseException, code: int, raised: BaseException | None = None) -> None:
    if {"--verbose", "-v"} & set(sys.argv):
        import traceback

        traceback.print_exception(raised or error)
    kind = "error" if isinstance(error, UserError) else "failed"
    told = str(error)
    if not isinstance(error, DfrayError):
        from dfray.errors import first_line

        told = f"{first_line(error)} (--verbose shows the traceback)"
    print(f"dfray: {kind}: {_stage(raised or error)}{told}", file=sys.stderr)
    sys.exit(code)


def _stage(error: BaseException) -> str:
    """The innermost stage that the error ended, as the beginning of what is told."""
    from dfray.progress import STAGE_NOTE

    notes = [note for note in getattr(error, "__notes__", []) if note.startswith(STAGE_NOTE)]
    return f"{notes[0].removeprefix(STAGE_NOTE)}: " if notes else ""
