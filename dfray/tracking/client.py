"""MLflow clients: explicit tracking URIs, errors of dfray, no output of MLflow.

MLflow's fluent API works on a process-wide tracking URI and prints as it goes. A client made for one URI
needs neither, so two stores can be used side by side and a user's own MLflow session stays as it was.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dfray import storage
from dfray.config import RegistrySection
from dfray.errors import RegistryError, UserError, first_line
from dfray.storage.faults import is_full
from dfray.tracking.database import require_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
_NO_PATH = re.compile(r"\?|%[0-9A-Fa-f]{2}")
"""Parts of a path that MLflow and SQLAlchemy do not read as they are written: options, and escapes."""
_ANSWER_S = 10.0
_OTHER_SCHEMA = re.compile(r"database schema \(found version (\S+), but expected (\S+)\)")
_UNFINISHED = re.compile(r"\(sqlite3\.\w+\) (table \w+ already exists|duplicate column name)")
_READ_ONLY = re.compile(r"readonly database|read-only transaction|permission denied")
_FORBIDDEN = re.compile(r"error code 40[13]|40[13] (Client Error|Forbidden)")
_ASK = (
    "Nothing was changed. Ask who keeps it for the right, or name another in registry.tracking_uri."
)
_GIVEN_UP = re.compile(r"Max retries exceeded .*\(Caused by (.*)\)")
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Files go by way of the server, whose object store may be out of a client's reach.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # with back-off about ten seconds; MLflow's 7, minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def resolve_tracking_uri(section: RegistrySection, work_dir: str) -> str:
    """Return the URI of runs and models: the recipe's URI, or else the environment's MLFLOW_TRACKING_URI, or
    else a database file under `work_dir`.

    Raises:
        UserError: the URI is of a kind that is not supported; or none is named, and `work_dir` is remote
            (sqlite needs a local disk) or has a `?` or what reads as an escape (`%20`).
    """
    uri = section.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    if uri is None:
        if storage.is_remote(work_dir):
            raise UserError(
                f"registry.tracking_uri is empty, and MLflow's database cannot lie under {work_dir}.",
                "Name a tracking server, or a local file as sqlite:////path/mlflow.db.",
            )
        path = storage.join(storage.absolute(work_dir), "mlflow.db")
        if escaped := _NO_PATH.search(path):
            raise UserError(
                f"MLflow's database cannot be {path}: in its address {escaped[0]} is no part of a name.",
                "Choose another work_dir, or name a tracking server as registry.tracking_uri.",
            )
        return SQLITE + path
    if uri.startswith(SQLITE):
        return SQLITE + os.path.abspath(uri.removeprefix(SQLITE))
    if uri.startswith(("http://", "https://")):
        if urlsplit(uri).password is not None:
            raise UserError(
                "registry.tracking_uri holds a password, and recipes are kept with every run.",
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment.",
            )
        return uri
    raise UserError(
        f"registry.tracking_uri (or MLFLOW_TRACKING_URI) is {uri!r}.",
        "Give http(s)://host:port of an MLflow server, or sqlite:////path/mlflow.db.",
    )


def artifact_root(tracking_uri: str) -> str | None:
    """Return the artifact URI of a new experiment: next to the database; None: the server decides."""
    if not tracking_uri.startswith(SQLITE):
        return None
    return (Path(tracking_uri.removeprefix(SQLITE)).parent / "mlartifacts").as_uri()


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the tracking server and registry at `tracking_uri`; a new database is made.

    Raises:
        RegistryError: nothing answers there, or the database file cannot be used.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not tracking_uri.startswith(SQLITE):
        _check_server(tracking_uri)
    with talking(f"open {tracking_uri}"):
        from mlflow import MlflowClient

        if tracking_uri.startswith(SQLITE):
            require_database(tracking_uri.removeprefix(SQLITE))

        client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
        client.search_experiments(max_results=1)
    return client


def require_reachable(tracking_uri: str) -> None:
    """Check that the tracking server answers, or that its database can be used or made; write nothing.

    Raises:
        RegistryError, StorageError: nothing answers there, or the database's folder cannot be written.
    """
    path = tracking_uri.removeprefix(SQLITE)
    if tracking_uri.startswith(SQLITE) and not os.path.exists(path):
        storage.require_writable(os.path.dirname(path))
    else:
        connect(tracking_uri)


@contextmanager
def talking(action: str) -> Iterator[None]:
    """MLflow without its log lines and warnings; a fault is a RegistryError that says what was tried."""
    import alembic.util.exc
    import mlflow.exceptions
    import requests
    import sqlalchemy.exc

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (
        mlflow.exceptions.MlflowException,
        requests.RequestException,
        sqlalchemy.exc.SQLAlchemyError,
        alembic.util.exc.CommandError,
        OSError,
    ) as error:
        raise _explained(action, error) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def error_code(error: Exception) -> str:
    """MLflow's name for what is wrong, such as RESOURCE_DOES_NOT_EXIST; empty if it has none."""
    return str(getattr(error, "error_code", ""))


def _explained(action: str, error: Exception) -> RegistryError:
    """Return MLflow's error as one line with a hint."""
    text, line = str(error), first_line(error, with_type=False)
    if schema := _OTHER_SCHEMA.search(text):
        return RegistryError(
            f"MLflow could not {action}: the database is of another MLflow (schema {schema[1]}, and "
            f"this one reads {schema[2]}).",
            "Nothing was changed. If the database is the older one, back it up and run `mlflow db "
            "upgrade`; if it is the newer one, install the MLflow that made it.",
        )
    if _UNFINISHED.search(text):
        return RegistryError(
            f"MLflow could not {action}: it was killed while it made or upgraded the database ({line}).",
            "If no run was logged there yet, remove the file; else restore it from a backup.",
        )
    if is_full(error):
        return RegistryError(
            f"MLflow could not {action}: {line}.",
            "A disk is full, of this machine or of MLflow's server: free some space, then run again; what "
            "was done before is kept.",
        )
    if _READ_ONLY.search(text):
        return RegistryError(
            f"MLflow could not {action}: the registry is read-only for you ({line}).",
            _ASK,
        )
    if _FORBIDDEN.search(text) or error_code(error) == "PERMISSION_DENIED":
        return RegistryError(
            f"MLflow could not {action}: the server does not let you ({line}).",
            _ASK,
        )
    if given_up := _GIVEN_UP.search(text):
        return RegistryError(
            f"MLflow could not {action}: its server failed again and again ({given_up[1]}).",
            "See that it runs, and what its log says: its object store or its database may be full, away "
            "or read-only. Then try again; what was done before is kept.",
        )
    return RegistryError(
        f"MLflow could not {action}: {line}.",
        "Check registry.tracking_uri, and that the server runs and lets you in.",
    )


def _check_server(uri: str) -> None:
    """Fail now, in one line, where MLflow would knock for a quarter of a minute."""
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=_ANSWER_S)
    except requests.exceptions.SSLError:
        return  # MLflow has settings of its own for certificates
    except (requests.ConnectionError, requests.Timeout) as error:
        raise RegistryError(
            f"No MLflow server answers at {uri}.",
            "Check registry.tracking_uri (or MLFLOW_TRACKING_URI), and that the server runs.",
        ) from error
