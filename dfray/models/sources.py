"""Where weights lie: a local path, s3://, or hf://owner/repo[@revision][/path] on the Hugging Face hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dfray import storage
from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError, StorageError

_HUB = "hf://"
_HINT = (
    "Connect to the hub; or set HF_HOME to a cache that holds the file, or HF_ENDPOINT to a mirror; "
    "or give model.weights the path or s3:// URI of a copy."
)


def complete(uri: str, default: str) -> str:
    """`uri`, with the path `default` where it names a repository of the hub and nothing inside it."""
    if not uri.startswith(_HUB):
        return uri
    repo, revision, path = _parts(uri)
    return f"{_HUB}{repo}{'@' + revision if revision else ''}/{path or default}"


def beside(uri: str, name: str) -> str:
    """The URI of the file `name` in the folder of the file `uri`."""
    folder, slash, _ = uri.rpartition("/")
    return f"{folder}{slash}{name}"


@contextlib.contextmanager
def local_file(uri: str) -> Iterator[str]:
    """A local path with the content of the file `uri`: itself, the hub's cache, or a passing download.

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


def read_text_if_there(uri: str) -> str | None:
    """The text of a small file, or none where its folder has no such file.

    Raises:
        ModelFileError: it cannot be known whether there is one.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if uri.startswith(_HUB):
        try:
            return Path(_from_hub(uri)).read_text()
        except ModelFileError as error:
            if isinstance(error.__cause__, RemoteEntryNotFoundError):
                return None
            raise
    try:
        return storage.read_bytes(uri).decode() if storage.exists(uri) else None
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
            f"{path} of the repository {repo} cannot be had from the Hugging Face hub: {reason}",
            _HINT,
        ) from error


def _parts(uri: str) -> tuple[str, str, str]:
    """owner/repo, revision and path of a hub URI; the last two may be empty."""
    owner, _, rest = uri.removeprefix(_HUB).partition("/")
    repo, _, path = rest.partition("/")
    repo, _, revision = repo.partition("@")
    if not owner or not repo:
        raise RecipeError(
            f"model.weights: {uri} names no repository of the hub.",
            "Write hf://owner/repo or hf://owner/repo/path/of/the/file.",
        )
    return f"{owner}/{repo}", revision, path


FSFM = "CC BY-NC 4.0 (FSFM's repository; pre-trained on VGGFace2, non-commercial research)"


def weights_licence(section: ModelSection) -> str | None:
    """The licence's name; None: it is not known. A model from scratch has none to keep to."""
    if section.weights is None:
        return "none: trained from scratch"
    if section.weights_layout == "fsfm":
        return FSFM
    if section.weights != "timm":
        return None
    import timm

    published = timm.get_pretrained_cfg(section.backbone)
    stated = published.license if published else None
    return f"{stated}, as timm states it" if stated else None
