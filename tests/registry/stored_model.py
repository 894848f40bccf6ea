"""A registered model that is made once for many tests, each of which finds it as it was made."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from dfray.config import RegistrySection
from dfray.registry.versions import Versions
from tests.helpers.registry import VersionMaker, section_of


class StoredModel:
    """A registered model in a database of its own, with its packages.

    Attributes:
        place: settings that name it, and the URI of its registry.
        versions: the model itself.
        add_version: registers a version.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.tracking_uri = f"sqlite:///{folder}/mlflow.db"
        self.place: tuple[RegistrySection, str] = (section_of(name), self.tracking_uri)
        self.versions = Versions(name, self.tracking_uri)
        self.add_version = VersionMaker(*self.place, folder / "packages")

    @property
    def champion_uri(self) -> str:
        return f"models:/{self.name}@champion"

    def keep(self) -> None:
        """Store a copy of the model as it is."""
        _copy_database(self.folder / "mlflow.db", self.folder / "copy.db")
        shutil.copytree(self.folder / "packages", self.folder / "copies")

    def restore(self) -> None:
        """Make the model the one that was stored, without a new connection to the database."""
        _copy_database(self.folder / "copy.db", self.folder / "mlflow.db")
        shutil.rmtree(self.folder / "packages")
        shutil.copytree(self.folder / "copies", self.folder / "packages")


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
        origin.backup(copy)
