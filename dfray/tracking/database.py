"""MLflow's sqlite database: made whole or not at all.

MLflow makes a database table by table, over a second or two. If it is killed meanwhile, what is left cannot
be opened again: a table of an unfinished migration is in the way. So a new database is made in a temporary
folder and put in its place in one step.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from contextlib import closing, suppress

from dfray import storage
from dfray.errors import RegistryError


def require_database(path: str) -> None:
    """Make MLflow's database at `path` if there is none, else check that the file can be opened.

    MLflow itself would try a file that is no database for minutes.

    Raises:
        RegistryError: it cannot be used or made.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            _make(path)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")
    except (OSError, sqlite3.Error) as error:
        raise RegistryError(
            f"MLflow's database {path} cannot be used: {error}.",
            "Check the path and its rights, or name another in registry.tracking_uri.",
        ) from error


def _make(path: str) -> None:
    """Make a database in a temporary folder, and put it at `path` unless another process was faster."""
    from mlflow import MlflowClient

    with storage.temporary_folder() as folder:
        made = os.path.join(folder, "mlflow.db")
        uri = f"sqlite:///{made}"
        MlflowClient(uri, registry_uri=uri).search_experiments(max_results=1)
        partial = os.path.join(
            os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.part"
        )
        try:
            shutil.copyfile(made, partial)
            _put(partial, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial)


def _put(made: str, path: str) -> None:
    """Give the file its name, unless another process has done so."""
    try:
        os.link(made, path)  # unlike a rename it replaces no file
    except FileExistsError:
        return
    except OSError:  # a file system without hard links, such as exFAT
        if not os.path.exists(path):
            os.rename(made, path)
