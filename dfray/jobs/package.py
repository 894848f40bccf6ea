"""What a job takes along: the working directory without what no job needs, and the dfray that submits it.

.gitignore files are respected at every level. Two packages of the same content are the same bytes, so
that Ray uploads them once.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dfray.errors import UserError

LIMIT_BYTES = 50 * 2**20
_NAMED = 5
"""Files that a refusal names, at most."""
_WORTH_NAMING = 2**18
_NEVER = (
    *(".git", ".hg/", ".svn/", ".venv/", "venv/", "node_modules/", "*.egg-info/"),
    *(
        "__pycache__/",
        ".cache/",
        ".*_cache/",
        ".tox/",
        ".nox/",
        ".ipynb_checkpoints/",
        ".hypothesis/",
    ),
    *("/runs/", "/mlruns/", "mlflow.db"),
    *("*.mp4", "*.avi", "*.mov", "*.mkv", "*.webm", "*.m4v", "*.parquet", "*.npz", "*.npy"),
)
"""Repositories, environments, caches, runs, and data: jobs read those from where the recipe says."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """Files by their path in the package: where they lie here, or what they hold."""

    files: dict[str, Path | bytes]

    @property
    def size_bytes(self) -> int:
        return sum(map(_size, self.files.values()))

    def write(self, zip_file: Path) -> None:
        """Write it as a zip that depends on nothing but the files' names, content and rights."""
        with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in sorted(self.files.items()):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                is_program = isinstance(content, Path) and os.access(content, os.X_OK)
                entry.external_attr = (0o755 if is_program else 0o644) << 16
                out.writestr(entry, content.read_bytes() if isinstance(content, Path) else content)


def pack(folder: Path, added: dict[str, Path | bytes]) -> Package:
    """The package of the working directory `folder`.

    Args:
        added: what else goes along, in place of the folder's own.

    Raises:
        UserError: it is no folder, or holds more than LIMIT_BYTES; the largest files are named.
    """
    if not folder.is_dir():
        raise UserError(f"The working directory {folder} is not a folder.")
    files: dict[str, Path | bytes] = {}
    files.update(_kept(folder))
    package = Package(files | added)
    if package.size_bytes > LIMIT_BYTES:
        raise UserError(
            f"The working directory {folder} holds {mib(package.size_bytes)} in "
            f"{len(package.files):,} files; a job takes {mib(LIMIT_BYTES)} along at most. "
            f"The largest: {', '.join(_largest(package))}.",
            "Name what the job does not need in .gitignore, or another folder as --working-dir.",
        )
    return package


def tree(folder: Path, at: str) -> dict[str, Path | bytes]:
    """The files under `folder`, to go along as `at`/...; as in a working directory."""
    return {f"{at}/{name}": path for name, path in _kept(folder)}


def mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"


def _kept(folder: Path) -> Iterator[tuple[str, Path]]:
    """Regular files of the folder by their path in it; links to folders are not followed."""
    from pathspec import GitIgnoreSpec

    never = GitIgnoreSpec.from_lines(_NEVER)
    rules: dict[str, GitIgnoreSpec] = {}

    def is_kept(path: str) -> bool:
        """By the deepest .gitignore that says something of it; folders end with a slash."""
        if never.match_file(path):
            return False
        for above in sorted(rules, key=len, reverse=True):
            if path.startswith(above):
                verdict = rules[above].check_file(path[len(above) :]).include
                if verdict is not None:
                    return not verdict
        return True

    for here, folders, files in os.walk(folder):
        relative = os.path.relpath(here, folder)
        prefix = "" if relative == "." else f"{relative}/"
        if ".gitignore" in files:
            lines = Path(here, ".gitignore").read_text(errors="replace").splitlines()
            rules[prefix] = GitIgnoreSpec.from_lines(lines)
        folders[:] = sorted(name for name in folders if is_kept(f"{prefix}{name}/"))
        for name in sorted(files):
            if os.path.isfile(os.path.join(here, name)) and is_kept(f"{prefix}{name}"):
                yield f"{prefix}{name}", Path(here, name)


def _size(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _largest(package: Package) -> list[str]:
    by_size = sorted(package.files, key=lambda name: _size(package.files[name]), reverse=True)
    sizes = {name: _size(package.files[name]) for name in by_size[:_NAMED]}
    return [f"{name} ({mib(size)})" for name, size in sizes.items() if size > _WORTH_NAMING]
