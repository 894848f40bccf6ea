"""Which variables of the submitter's environment a job gets, and which packages it needs to start.

Variables go by a list of names, and their values are never printed. They are kept with the job by the
cluster, whose token is what protects them.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import platform
import sys

from dfray.errors import UserError

ALLOWED = ("AWS_*", "MLFLOW_*", "HF_*", "DFRAY_*", "RAY_TRAIN_*", "RAY_DATA_*", "OMP_NUM_THREADS")
STOP_S = 60
"""Seconds that a stopped job has to end by itself; Ray's three are not enough to let its workers go."""


def variables(named: list[str]) -> dict[str, str]:
    """The environment of a job: what ALLOWED covers, and what is `named`.

    Raises:
        UserError: a variable that is named is not set here.
    """
    if missing := [name for name in named if name not in os.environ]:
        raise UserError(
            f"--env names {', '.join(missing)}, not set here.", "Export it, or leave it out."
        )
    return {
        name: value
        for name, value in os.environ.items()
        if name in named or any(fnmatch.fnmatchcase(name, pattern) for pattern in ALLOWED)
    }


def require_packages() -> None:
    """End the process with exit code 2 and one line, if a package that dfray imports is missing.

    For the scripts in jobs/, before they import anything: nothing has been started by then.
    """
    from dfray.serving.requirements import imported_packages

    needed = imported_packages("dfray.cli") - sys.stdlib_module_names
    missing = sorted(name for name in needed if importlib.util.find_spec(name) is None)
    if missing:
        print(
            f"dfray: error: Python of {sys.prefix} on {platform.node()} has no {', '.join(missing)}, "
            "which dfray imports. Install requirements.txt there, or run the nodes from the image of "
            "infra/Dockerfile; nothing was started.",
            file=sys.stderr,
        )
        sys.exit(UserError.exit_code)
