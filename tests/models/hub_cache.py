"""A Hugging Face cache with files in it, as the hub's client would have left it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fill(cache: Path, repo: str, file: str, write: Callable[[Path], object]) -> Path:
    """Put what `write` writes at `file` of `repo` into the cache; returns its path."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    path = folder / "snapshots" / COMMIT / file
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return path
