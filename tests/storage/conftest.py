"""Places that tests of storage write to."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on the disk, or a bucket."""
    return str(tmp_path if request.param == "local" else request.getfixturevalue("bucket"))
