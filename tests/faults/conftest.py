"""Fixtures of faults."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of six megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", path], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"only root may mount a small disk: {mount.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)  # a database may be open
