"""MLflow's database, made once for all tests and copied: its migrations take two CPU-seconds.

How dfray makes one is tested in processes of their own (tests/tracking/test_client.py, tests/cli).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress

import pytest


@pytest.fixture(scope="session", autouse=True)
def copied_mlflow_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let `connect` find a copy of an empty database wherever it would make one."""
    from dfray.tracking import client

    base = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    empty = (base.parent if is_worker else base) / "empty-mlflow.db"
    check = client._check_database

    def make_empty() -> None:
        made = base / "new-mlflow.db"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "_check_database", check)
            client.connect(f"sqlite:///{made}")
        made.replace(empty)  # at once, as other workers look for it

    def copy_and_check(path: str) -> None:
        with suppress(OSError):  # `check` says what is wrong with the place
            if not os.path.exists(path):
                if not empty.exists():
                    make_empty()
                os.makedirs(os.path.dirname(path), exist_ok=True)
                shutil.copyfile(empty, path)
        check(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_check_database", copy_and_check)
        yield
