"""Files of runs and of logged models: names that every store keeps, and a check after writing.

MLflow's client sends names through a server as parts of a URL, and escapes nothing: what follows a # or ? is
lost, %41 arrives as A, and two names become one file without an error. So names are escaped here, and what
was written is looked up by name and size.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dfray.errors import RegistryError
from dfray.tracking.client import talking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import FileInfo

_UNSAFE = re.compile(r"[^\w. -]")


def artifact_name(text: str) -> str:
    """Return `text` as the name of a file or folder; other texts have other names.

    Letters, digits, `_`, `.`, `-` and spaces stay, of any other character its UTF-8 bytes as `=23`.
    """
    return _UNSAFE.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), text)


def log_files(
    client: MlflowClient, run_id: str, paths: Sequence[str | os.PathLike[str]], folder: str | None
) -> None:
    """Keep local files with a run, under `folder`.

    Raises:
        RegistryError: MLflow failed, or its store does not hold them afterwards.
    """
    sizes = {
        posixpath.join(folder or "", os.path.basename(path)): os.path.getsize(path)
        for path in paths
    }
    with talking(f"keep {', '.join(sizes)} with run {run_id}"):
        for path in paths:
            client.log_artifact(run_id, os.fspath(path), folder)
        _require_kept(sizes, lambda place: client.list_artifacts(run_id, place))


def log_texts(client: MlflowClient, run_id: str, texts: Mapping[str, str]) -> None:
    """Keep texts with a run, each as the file of its name.

    Raises:
        RegistryError: as `log_files`.
    """
    sizes = {name: len(text.encode()) for name, text in texts.items()}
    with talking(f"keep {', '.join(texts)} with run {run_id}"):
        for name, text in texts.items():
            client.log_text(run_id, text, name)
        _require_kept(sizes, lambda place: client.list_artifacts(run_id, place))


def log_package(client: MlflowClient, model_id: str, folder: Path) -> None:
    """Keep the files of a local folder with a logged model, inside `talking`.

    Raises:
        RegistryError: MLflow's store does not hold them afterwards.
    """
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }
    client.log_model_artifacts(model_id, str(folder))
    _require_kept(sizes, lambda place: client.list_logged_model_artifacts(model_id, place))


def _require_kept(
    sizes: Mapping[str, int], list_files: Callable[[str | None], list[FileInfo]]
) -> None:
    """Check that files of these paths and sizes in bytes are listed."""
    folders = sorted({posixpath.dirname(path) for path in sizes})
    kept = {file.path: file.file_size for place in folders for file in list_files(place or None)}
    lost = [path for path, size in sizes.items() if kept.get(path, -1) not in (size, None)]
    if lost:
        raise RegistryError(
            f"MLflow's artifact store took {lost[0]} ({sizes[lost[0]]:,} bytes) and does not hold it: "
            f"{_found(kept.get(lost[0]))}.",
            "See the log of the server and of its object store, and that nothing else writes there.",
        )


def _found(size: int | None) -> str:
    return "there is no such file" if size is None else f"it has {size:,} bytes"
