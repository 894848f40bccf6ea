"""SHA-256 of every file of a package, so that a damaged one is told and never loaded.

The file SHA256SUMS lies in the package (`sha256sum -c SHA256SUMS` reads it too); its own SHA-256 is a tag
of the registered version, out of reach of whoever can write the artifacts only.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

FILE = "SHA256SUMS"
TAG = "dfray.package_sha256"
_BYTECODE = "__pycache__"
NOT_CHECKED = shutil.ignore_patterns(_BYTECODE)
"""For `shutil.copytree`: what is left by whoever loads a package where it lies, and is never to be run."""


def write_checksums(package: Path) -> str:
    """Write the sums of all files there are into the local folder; the SHA-256 of that list."""
    text = "".join(f"{_sha256(package / name)}  {name}\n" for name in _files(package))
    (package / FILE).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def faults_of(package: Path, expected: str | None) -> list[str]:
    """What is wrong with the package in a local folder, a line each; none: it is the one registered.

    Args:
        expected: the tag that was kept when it was registered.
    """
    if expected is None:
        return [f"the version has no tag {TAG}, so it was not registered by this dfray"]
    if not (package / FILE).is_file():
        return [f"{FILE} is gone" if _files(package) else "all its files are gone"]
    if _sha256(package / FILE) != expected:
        return [f"{FILE} is not the one that was registered"]
    lines = (package / FILE).read_text().splitlines()
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = set(_files(package))
    return [
        *(f"{name} is gone" for name in sorted(stated.keys() - found)),
        *(f"{name} was added" for name in sorted(found - stated.keys())),
        *(
            f"{name} was changed"
            for name in sorted(found & stated.keys())
            if _sha256(package / name) != stated[name]
        ),
    ]


def _files(package: Path) -> list[str]:
    """Every file of the package but the list itself and what is not checked, relative, in order."""
    found = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return sorted(
        path.as_posix() for path in found if path.name != FILE and _BYTECODE not in path.parts
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
