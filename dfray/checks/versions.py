"""Installed versions against the ranges of the package and against the lock file of a checkout."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import dfray

_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+?)(?:\s*;\s*(.+?))?\s*\\?")


def outside_of_ranges() -> list[str]:
    """Return a sentence for each required package that is missing or outside of its range."""
    from packaging.requirements import Requirement

    sentences = []
    for text in importlib.metadata.requires("dfray") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = installed_version(requirement.name)
        if version is None:
            sentences.append(f"{requirement.name} is not installed.")
        elif not requirement.specifier.contains(version, prereleases=True):
            sentences.append(f"{requirement.name} is {version}, and {requirement} is required.")
    return sentences


def differs_from_lock(lock: Path | None = None) -> list[str]:
    """Return `name version (locked)` for each installed package of another version than the locked one.

    Args:
        lock: default: requirements.txt of the checkout; an installed wheel has none.
    """
    from packaging.markers import Marker
    from packaging.version import Version

    lock = lock or Path(dfray.__file__).parent.parent / "requirements.txt"
    if not lock.is_file():
        return []
    differing = []
    for line in lock.read_text().splitlines():
        if not (pin := _PIN.fullmatch(line)):
            continue
        name, locked, marker = pin.groups()
        version = installed_version(name)
        if version is None or (marker and not Marker(marker).evaluate()):
            continue
        if Version(version).public != Version(locked).public:  # 2.1+cpu is 2.1
            differing.append(f"{name} {version} ({locked})")
    return differing


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
