"""Environment of a job: the variables that it inherits from the submitter, and the packages it needs.

Variables are selected by name, and their values are never printed. Ray stores them with the job, hands them
to every process of it and writes them into its logs: so those that hold secrets stay here, unless they are
requested by name. The nodes have their own: see cluster/README.md.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import platform
import sys

from dfray.errors import UserError
from dfray.text import mask

ALLOWED = ("AWS_*", "MLFLOW_*", "HF_*", "DFRAY_*", "RAY_TRAIN_*", "RAY_DATA_*", "OMP_NUM_THREADS")
SECRETS = (
    "AWS_ACCESS_KEY_ID", "*_KEY", "*_TOKEN", "*_PASSWORD", "*_SECRET", "*_SECRET_*", "*_CREDENTIALS",
)  # fmt: skip
"""Variables that are, or belong to, secrets."""
STOP_S = 60
"""Seconds that a stopped job has to end by itself; Ray's default of three is too short for its workers."""


def variables(requested: list[str]) -> dict[str, str]:
    """Return the environment of a job: what `withheld` leaves of ALLOWED, and what is requested by name.

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
        if name in requested or (_matches(name, ALLOWED) and not _is_secret(name, value))
    }


def withheld(requested: list[str]) -> list[str]:
    """Return the names of the variables of ALLOWED that hold secrets and are not requested."""
    return sorted(
        name
        for name, value in os.environ.items()
        if name not in requested and _matches(name, ALLOWED) and _is_secret(name, value)
    )


def _is_secret(name: str, value: str) -> bool:
    return _matches(name, SECRETS) or mask(value) != value


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


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
