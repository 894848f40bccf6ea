"""Folders of small pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def numbered(folder: Path, count: int) -> Path:
    """Pictures 0.png to count - 1, each of the grey of its number, and a file that is no picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        Image.fromarray(np.full((8, 8, 3), k, np.uint8)).save(folder / f"{k}.png")
    (folder / "notes.txt").write_text("none")
    return folder
