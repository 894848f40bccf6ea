"""Stored packages of versions, handed out as local folders of checked files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfray import storage
from dfray.errors import RegistryError
from dfray.notes import warn
from dfray.registry.checksums import FILE, faults_of, foreign_programs, listed_files


class DamagedPackageError(RegistryError):
    """A package whose files are missing or changed; `fault` describes the first of them."""

    def __init__(self, message: str, hint: str = "", fault: str = "") -> None:
        super().__init__(message, hint)
        self.fault = fault


@contextmanager
def checked_package(place: Path, digest: str | None, name: str, version: str) -> Iterator[Path]:
    """Yield a temporary folder with the files of a version's package and nothing else.

    Files beside the package's own are not copied and never loaded; programs among them are told.

    Args:
        place: the package, on this machine.
        digest: the tag that was stored when it was registered.
        name, version: of the registered model.

    Raises:
        DamagedPackageError: a file is gone, or is not the one that was registered.
    """
    if faults := faults_of(place, digest):
        fault = faults[0] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")
        raise DamagedPackageError(
            f"The package of version {version} of {name} is damaged: {fault}.",
            "Restore its artifacts from a backup, or register the model again.",
            fault,
        )
    if programs := foreign_programs(place):
        warn(
            f"The package of version {version} of {name} has files beside it that are not its "
            f"own: {', '.join(programs)}. They are not loaded; remove them if they are not yours."
        )
    with storage.temporary_folder() as folder:
        checked = Path(folder, "checked")
        for file in (FILE, *listed_files(place)):
            (checked / file).parent.mkdir(parents=True, exist_ok=True)
            _link((place / file).resolve(), checked / file)
        yield checked


def _link(source: Path, target: Path) -> None:
    """Hard-link, or copy where the file system cannot: MLflow refuses symbolic links out of a model."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
