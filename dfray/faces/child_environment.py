"""Environment of the process that decodes strangers' files: no credentials are in it."""

from __future__ import annotations

import fnmatch
import os
import sys

_ALLOWED = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TEMP", "TMP",
    "LD_*", "DYLD_*", "PYTHON*", "VIRTUAL_ENV", "COVERAGE_*", "DFRAY_CACHE", "XDG_*", "MPLCONFIGDIR",
    "*_NUM_THREADS", "OMP_*", "OPENBLAS_*", "MKL_*", "MALLOC_*", "TF_*", "GLOG_*",
)  # fmt: skip
"""Patterns of names of variables that native libraries and Python read."""


def child_environment() -> dict[str, str]:
    """Return the variables of this process that the child inherits, and its path of modules."""
    allowed = {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _ALLOWED)
    }
    return allowed | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
