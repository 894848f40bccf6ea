"""Package of a job: the zip of its working directory and of the submitting dfray.

`dfray.jobs.exclusions` says which files stay here. Two packages of the same content are the same bytes, so
that Ray uploads them once.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from dfray.errors import UserError
from dfray.jobs.exclusions import Exclusions, selected

LIMIT_BYTES = 50 * 2**20
_LISTED = 5
"""Files that an error lists, at most."""
_LISTED_BYTES = 2**18
"""Smallest file that an error lists."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """Files of a job.

    Attributes:
        files: path in the package -> local path, or content.
        withheld: path of a file that may hold secrets, or of a link, that stays here -> why.
    """

    files: dict[str, Path | bytes]
    withheld: dict[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Total size of the files, uncompressed."""
        return sum(map(_size, self.files.values()))

    def write(self, zip_file: Path) -> None:
        """Write a zip that depends only on the files' names, contents and permissions."""
        with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in sorted(self.files.items()):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                is_executable = isinstance(content, Path) and os.access(content, os.X_OK)
                entry.external_attr = (0o755 if is_executable else 0o644) << 16
                out.writestr(entry, content.read_bytes() if isinstance(content, Path) else content)


def pack(folder: Path, extra: dict[str, Path | bytes]) -> Package:
    """Return the package of the working directory `folder`.

    Args:
        extra: further files, which replace those of the folder with the same path.

    Raises:
        UserError: it is no folder, or holds more than LIMIT_BYTES; the largest files are listed.
    """
    if not folder.is_dir():
        raise UserError(f"The working directory {folder} is not a folder.")
    selection = selected(folder, Exclusions(folder, is_repository=True))
    package = Package({**selection.files, **extra}, selection.withheld)
    if package.size_bytes > LIMIT_BYTES:
        raise UserError(
            f"The working directory {folder} holds {mib(package.size_bytes)} in "
            f"{len(package.files):,} files; a job may upload {mib(LIMIT_BYTES)}. "
            f"The largest: {', '.join(_largest(package))}.",
            "Add what the job does not need to .gitignore, or give another folder as --working-dir.",
        )
    return package


def tree(folder: Path, at: str) -> dict[str, Path | bytes]:
    """Return the files under `folder` with paths that begin with `at`/, filtered like a working directory."""
    files = selected(folder, Exclusions(folder)).files
    return {f"{at}/{name}": path for name, path in files.items()}


def mib(size_bytes: int) -> str:
    """Return a size in MiB, with its unit."""
    return f"{size_bytes / 2**20:,.1f} MiB"


def _size(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _largest(package: Package) -> list[str]:
    by_size = sorted(package.files, key=lambda name: _size(package.files[name]), reverse=True)
    sizes = {name: _size(package.files[name]) for name in by_size[:_LISTED]}
    return [f"{name} ({mib(size)})" for name, size in sizes.items() if size > _LISTED_BYTES]
