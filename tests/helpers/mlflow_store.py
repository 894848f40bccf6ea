"""MLflow's database, made once for all tests and copied: its migrations take two CPU-seconds.

How dfray makes one is tested in processes of their own (tests/tracking/test_database.py, tests/cli).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def copied_mlflow_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let `connect` find a copy of an empty database wherever it would make one."""
    from dfray.tracking import database

    base = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    empty = (base.parent if is_worker else base) / "empty-mlflow.db"
    make = database._make

    def copy(path: str) -> None:
        if not empty.exists():
            make(str(empty))
        shutil.copyfile(empty, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_make", copy)
        yield
