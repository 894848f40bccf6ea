"""SHA-256 of every file of a package, so that a damaged package is never loaded.

The package holds the file SHA256SUMS (`sha256sum -c SHA256SUMS` reads it too); the SHA-256 of that file is a
tag of the registered version, which write access to the artifacts alone cannot change.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

FILE = "SHA256SUMS"
TAG = "dfray.package_sha256"
_BYTECODE = "__pycache__"
NOT_CHECKED = shutil.ignore_patterns(_BYTECODE)
"""For `shutil.copytree`: bytecode that Python leaves in a package, which must never be run."""


def write_checksums(package: Path) -> str:
    """Write the sums of all files into the local folder and return the SHA-256 of that list."""
    text = "".join(f"{_sha256(package / name)}  {name}\n" for name in _files(package))
    (package / FILE).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def faults_of(package: Path, expected: str | None) -> list[str]:
    """Return a line for each fault of the package in a local folder; empty: it is as registered.

    Args:
        expected: the tag that was stored when it was registered.
    """
    if expected is None:
        return [f"the version has no tag {TAG}, so it was not registered by this dfray"]
    if not (package / FILE).is_file():
        return [f"{FILE} is gone" if _files(package) else "all its files are gone"]
    if _sha256(package / FILE) != expected:
        return [f"{FILE} is not the one that was registered"]
    lines = (package / FILE).read_text().splitlines()
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = set(_files(package))
    return [
        *(f"{name} is gone" for name in sorted(stated.keys() - present)),
        *(f"{name} was added" for name in sorted(present - stated.keys())),
        *(
            f"{name} was changed"
            for name in sorted(present & stated.keys())
            if _sha256(package / name) != stated[name]
        ),
    ]


def _files(package: Path) -> list[str]:
    """Return the relative paths of all checked files, in order; the list itself is not one."""
    paths = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return sorted(
        path.as_posix() for path in paths if path.name != FILE and _BYTECODE not in path.parts
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
