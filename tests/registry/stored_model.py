"""A registered model that is made once for many tests, each of which finds it as it was made."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Self

from dfray.config import RegistrySection
from dfray.registry.versions import Versions
from tests.helpers.registry import VersionMaker, section_of
from tests.helpers.scored import measured
from tests.registry.test_promote import promote


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

    @classmethod
    def with_two_champions(cls, folder: Path) -> Self:
        """Return a model whose version 1 was the champion, version 2 is it, version 3 is the candidate."""
        model = cls("two champions", folder)
        for apart in (2.0, 2.1, 2.2):
            model.add_version(measured(apart))
            if apart < 2.2:
                promote(*model.place)
        model.keep()
        return model

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
