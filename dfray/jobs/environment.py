"""Environment of a job: the variables that it inherits from the submitter, and the packages it needs.

Variables are selected by name, and their values are never printed. The cluster stores them with the job;
its token protects them.
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
"""Seconds that a stopped job has to end by itself; Ray's default of three is too short for its workers."""


def variables(requested: list[str]) -> dict[str, str]:
    """Return the environment of a job: the variables that match ALLOWED, and those requested by name.

    Raises:
        UserError: a requested variable is not set here.
    """
    if missing := [name for name in requested if name not in os.environ]:
        raise UserError(
            f"--env names {', '.join(missing)}, not set in this environment.",
            "Export it, or omit the option.",
        )
    return {
        name: value
        for name, value in os.environ.items()
        if name in requested or any(fnmatch.fnmatchcase(name, pattern) for pattern in ALLOWED)
    }


def require_packages() -> None:
    """Exit with code 2 and one line if a package that dfray imports is missing.

    The scripts in jobs/ call it before they import anything else, so nothing has been started.
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
