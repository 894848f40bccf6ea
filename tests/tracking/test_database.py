"""MLflow's sqlite database is made whole or not at all, by one process of several."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dfray.errors import RegistryError
from dfray.tracking.client import connect

_CONNECT = "from dfray.tracking.client import connect; client = connect({uri!r}); {then}"
_BETWEEN = "SELECT 1 FROM sqlite_master WHERE name LIKE '\\_alembic\\_tmp%' ESCAPE '\\'"
"""True while MLflow is amid a migration, of which an interruption leaves a table."""


def begin(uri: str, folder: Path, then: str = "pass") -> subprocess.Popen[bytes]:
    """Start a process that connects, with its temporary files in `folder`."""
    command = [sys.executable, "-c", _CONNECT.format(uri=uri, then=then)]
    return subprocess.Popen(command, env=os.environ | {"TMPDIR": str(folder)})


def kill_amid_a_migration(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Kill the process while a database below `folder` is amid a migration; False: it ended before."""
    while process.poll() is None:
        for path in folder.rglob("*.db"):
            with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0)) as database:
                if database.execute(_BETWEEN).fetchone():
                    process.kill()
                    process.wait()
                    return True
    return False


def test_a_making_that_is_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert kill_amid_a_migration(begin(uri, tmp_path), tmp_path)
    assert connect(uri).search_experiments(max_results=1)


def test_processes_that_make_it_at_once_share_one_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    makers = [begin(uri, tmp_path, f"client.create_experiment('of {n}')") for n in range(2)]
    assert [maker.wait() for maker in makers] == [0, 0]
    names = {experiment.name for experiment in connect(uri).search_experiments()}
    assert names >= {"of 0", "of 1"}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mlflow.db"]


def test_an_unfinished_database_of_another_program_is_told_as_what_it_is(tmp_path: Path) -> None:
    """MLflow alone was killed while it made the database."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = (
        f"from mlflow import MlflowClient; MlflowClient({uri!r}).search_experiments(max_results=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    assert kill_amid_a_migration(process, tmp_path)
    with pytest.raises(
        RegistryError, match="killed while it made or upgraded the database"
    ) as told:
        connect(uri)
    assert "remove the file" in str(told.value)
