"""Provenance of runs and promotions: user, time, version of the code."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dfray
from dfray.text import mask

CODE_FILE = ".dfray/code.json"
"""Beside dfray in a submitted job, which is no checkout: what `code_version` said where it was submitted."""


def who() -> str:
    """The user's name, or the number if the system has no name for it (as in many containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def command() -> str:
    """The command that runs, such as `dfray train mine.yaml`, without passwords."""
    name = os.path.basename(sys.argv[0]) or "python"
    return mask(shlex.join([name, *sys.argv[1:]]))


def is_submitted() -> bool:
    """Return True in a job of a Ray cluster, to which dfray was packed."""
    return (Path(dfray.__file__).resolve().parent.parent / CODE_FILE).is_file()


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> str | None:
    """The commit of the checkout that runs, with `+changes` if it has any; None outside of one."""
    tags = code_version()
    revision = tags.get("mlflow.source.git.commit")
    return revision and revision + ("+changes" if tags["dfray.git_dirty"] == "true" else "")


def code_version() -> dict[str, str]:
    """Tags naming the code: dfray's version and, in a checkout, its commit and its locked versions.

    The lock's hash is the SHA-256 over requirements*.txt of the checkout, in order of name.
    """
    tags = {"dfray.version": dfray.__version__}
    checkout = Path(dfray.__file__).resolve().parent.parent
    if (checkout / CODE_FILE).is_file():
        packaged: dict[str, str] = json.loads((checkout / CODE_FILE).read_text())
        return packaged
    commit = _git(checkout, "rev-parse", "HEAD") if (checkout / ".git").exists() else None
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit  # the name that MLflow's pages show
        tags["dfray.git_dirty"] = str(bool(_git(checkout, "status", "--porcelain"))).lower()
        if locks := sorted(checkout.glob("requirements*.txt")):
            content = b"".join(lock.read_bytes() for lock in locks)
            tags["dfray.lock_sha256"] = hashlib.sha256(content).hexdigest()
    return tags


def _git(checkout: Path, *arguments: str) -> str | None:
    """Return git's output; None without git, or if it refuses (such as another user's checkout)."""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
