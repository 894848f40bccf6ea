"""Wheel of the installed dfray, made without a build backend, so that a model carries its own code.

It is the same for a checkout and for an installed wheel: the package's files as they are imported, and the
metadata that the installer left. All time stamps are fixed, so equal code gives equal bytes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipInfo

from wheel.wheelfile import WheelFile

import dfray
from dfray.errors import RegistryError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_METADATA = ("METADATA", "entry_points.txt")


class _FixedWheel(WheelFile):
    """A WheelFile whose members, RECORD included, all carry the same time and mode."""

    def writestr(
        self,
        zinfo_or_arcname: str | ZipInfo,
        data: bytes | str,
        compress_type: int | None = None,
    ) -> None:
        member = zinfo_or_arcname
        info = ZipInfo(member.filename if isinstance(member, ZipInfo) else member, _EPOCH)
        info.compress_type = ZIP_DEFLATED
        info.external_attr = 0o100644 << 16
        super().writestr(info, data, compress_type)


def build_wheel(folder: str | Path) -> Path:
    """Write the wheel of the running dfray into `folder`, and return its path.

    Raises:
        RegistryError: dfray is imported from somewhere but not installed, so it has no metadata.
    """
    try:
        installed = importlib.metadata.distribution("dfray")
    except importlib.metadata.PackageNotFoundError as error:
        raise RegistryError(
            "dfray is not installed, so no wheel can be made of it.", "Run `pip install -e .`."
        ) from error
    path = Path(folder) / f"dfray-{dfray.__version__}-py3-none-any.whl"
    info = f"dfray-{dfray.__version__}.dist-info"
    with _FixedWheel(path, "w", compression=ZIP_DEFLATED) as wheel:
        for name, file in _files(importlib.resources.files("dfray"), "dfray"):
            wheel.writestr(name, file.read_bytes())
        for name in _METADATA:
            if text := installed.read_text(name):
                wheel.writestr(f"{info}/{name}", text)
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: dfray\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return path


def _files(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    """Yield every file of the package but compiled ones, in order of name."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, inner)
        elif not entry.name.endswith(".pyc"):
            yield inner, entry
