"""Source of weights: a local path, s3:// or hf://owner/repo[@revision][/path] on the Hugging Face hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dfray import storage
from dfray.errors import ModelFileError, RecipeError, StorageError

_HUB = "hf://"
_TEXT_BYTES = 2**16
_HINT = (
    "Connect to the hub; or set HF_HOME to a cache that holds the file, or HF_ENDPOINT to a mirror; "
    "or give model.weights the path or s3:// URI of a copy."
)


def complete(uri: str, default: str) -> str:
    """Return `uri`, with the path `default` if it names a repository of the hub without a path."""
    if not uri.startswith(_HUB):
        return uri
    repo, revision, path = _parts(uri)
    return f"{_HUB}{repo}{'@' + revision if revision else ''}/{path or default}"


def sibling(uri: str, name: str) -> str:
    """Return the URI of the file `name` in the folder of the file `uri`."""
    folder, slash, _ = uri.rpartition("/")
    return f"{folder}{slash}{name}"


@contextlib.contextmanager
def local_file(uri: str) -> Iterator[str]:
    """Yield a local path with the content of the file `uri`: itself, the hub's cache, or a temporary copy.

    Raises:
        ModelFileError: there is no such file, or it cannot be fetched.
    """
    if uri.startswith(_HUB):
        yield _from_hub(uri)
        return
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(storage.local_copy(uri))
        except StorageError as error:
            raise ModelFileError(error.message, error.hint) from error
        if not Path(path).is_file():
            raise ModelFileError(f"There is no file {path}.", "Check model.weights.")
        yield path


def read_text_if_present(uri: str) -> str | None:
    """Return the first 64 KiB of a text file, or None if its folder has no such file.

    Raises:
        ModelFileError: the folder cannot be reached.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if uri.startswith(_HUB):
        try:
            uri = _from_hub(uri)
        except ModelFileError as error:
            if isinstance(error.__cause__, RemoteEntryNotFoundError):
                return None
            raise
    try:
        if not storage.exists(uri):
            return None
        return storage.read_bytes(uri, at_most=_TEXT_BYTES).decode(errors="replace")
    except StorageError as error:
        raise ModelFileError(error.message, error.hint) from error


def _from_hub(uri: str) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repo, revision, path = _parts(uri)
    try:
        return hf_hub_download(repo, path, revision=revision or None)
    except (OSError, EntryNotFoundError, ValueError) as error:  # ValueError: no valid repository id
        reason = " ".join(str(error).split())
        raise ModelFileError(
            f"{path} of the repository {repo} cannot be downloaded from the Hugging Face hub: {reason}",
            _HINT,
        ) from error


def _parts(uri: str) -> tuple[str, str, str]:
    """Return owner/repo, revision and path of a hub URI; the last two may be empty."""
    owner, _, name_and_path = uri.removeprefix(_HUB).partition("/")
    repo, _, path = name_and_path.partition("/")
    repo, _, revision = repo.partition("@")
    if not owner or not repo:
        raise RecipeError(
            f"model.weights: {uri} names no repository of the hub.",
            "Write hf://owner/repo or hf://owner/repo/path/of/the/file.",
        )
    return f"{owner}/{repo}", revision, path
