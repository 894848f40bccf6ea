"""SHA-256 of every file of a package, so that a damaged package is never loaded.

The package holds the file SHA256SUMS (`sha256sum -c SHA256SUMS` reads it too); the SHA-256 of that file is a
tag of the registered version, which write access to the artifacts alone cannot change. Damage is a listed
file that is missing or changed. Other files in the folder are not of the package: MLflow writes one of its
own beside a model that it loads from a disk, Python its bytecode. They stay where they are, never loaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FILE = "SHA256SUMS"
TAG = "dfray.package_sha256"
_BYTECODE = "__pycache__"
_PICKLES = {".bin", ".ckpt", ".dill", ".joblib", ".npy", ".pickle", ".pkl", ".pt", ".pth"}
_CODE = {
    ".bat",
    ".dll",
    ".dylib",
    ".exe",
    ".jar",
    ".js",
    ".ps1",
    ".py",
    ".pyc",
    ".pyd",
    ".sh",
    ".so",
    ".whl",
}
_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_CODE_STARTS = (b"#!", b"\x7fELF", b"MZ")


def write_checksums(package: Path) -> str:
    """Write the sums of all files into the local folder and return the SHA-256 of that list."""
    text = "".join(f"{_sha256(package / name)}  {name}\n" for name in _files(package))
    (package / FILE).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def listed_files(package: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 of the files that the list of the package in a local folder names."""
    lines = (package / FILE).read_text().splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def faults_of(package: Path, expected: str | None) -> list[str]:
    """Return a line for each fault of the package in a local folder; empty: it is as registered.

    Args:
        expected: the tag that was stored when it was registered.
    """
    if expected is None:
        return [f"the version has no tag {TAG}, so it was not registered by this dfray"]
    if not (package / FILE).is_file():
        return [f"{FILE} is gone" if _files(package) else "all its files are gone"]
    if _sha256(package / FILE) != expected:
        return [f"{FILE} is not the one that was registered"]
    return [
        f"{name} {'was changed' if (package / name).is_file() else 'is gone'}"
        for name, digest in sorted(listed_files(package).items())
        if not (package / name).is_file() or _sha256(package / name) != digest
    ]


def foreign_programs(package: Path) -> list[str]:
    """Return the pickles and code beside the files of a sound package: what plain MLflow or Python might run.

    Bytecode that Python leaves is not among them.
    """
    listed = listed_files(package)
    foreign = [name for name in _files(package) if name not in listed]
    return [f"{name} ({kind})" for name in foreign if (kind := _kind_of_program(package / name))]


def _kind_of_program(path: Path) -> str | None:
    """Return "pickle" or "code", by the suffix or the first bytes; None: neither."""
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix.lower() in _PICKLES or start.startswith(_PICKLE_STARTS):
        return "pickle"
    return "code" if path.suffix.lower() in _CODE or start.startswith(_CODE_STARTS) else None


def _files(package: Path) -> list[str]:
    """Return the relative paths of all files but the list itself and bytecode, in order."""
    paths = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return sorted(
        path.as_posix() for path in paths if path.name != FILE and _BYTECODE not in path.parts
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
