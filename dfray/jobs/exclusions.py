"""Files of a working directory that stay here: what git ignores, data and environments, secrets, links.

A .gitignore counts from its own folder on, the deepest rule has the last word, and those of the repository
around the folder count, too, with its info/exclude and the user's own file. Nothing brings back what may hold
a secret: keys and credentials lie in working directories that no .gitignore knows.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

_NOT_CODE = (
    ".git", ".hg/", ".svn/", ".venv/", "venv/", "node_modules/", "*.egg-info/",
    "__pycache__/", ".cache/", ".*_cache/", ".tox/", ".nox/", ".ipynb_checkpoints/", ".hypothesis/",
    "/runs/", "/mlruns/", "mlflow.db",
    "*.mp4", "*.avi", "*.mov", "*.mkv", "*.webm", "*.m4v", "*.parquet", "*.npz", "*.npy",
)  # fmt: skip
"""Repositories, environments, caches, runs and data, which jobs read from the recipe's URIs."""
SECRETS = (
    ".env", ".env.*", "*.env", "!.env.example", "!*.example", ".envrc", ".netrc", "_netrc",
    ".aws/", ".azure/", ".config/gcloud/", ".docker/", ".gnupg/", ".kube/", ".ssh/", ".mlflow/", ".ray/",
    ".boto", ".s3cfg", ".passwd-s3fs", ".dockercfg", ".git-credentials", ".htpasswd", ".my.cnf", ".npmrc",
    ".pgpass", ".pypirc", "kubeconfig", "*.kubeconfig",
    "credentials", "credentials.csv", "credentials.ini", "credentials.json", "credentials.toml",
    "credentials.y*ml", "*_credentials.*", "*_accessKeys.csv", "service[-_]account*.json",
    "client_secret*.json",
    "secrets", "secrets.ini", "secrets.json", "secrets.toml", "secrets.y*ml", "auth_token",
    "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa", "id_dsa", "id_ecdsa*", "id_ed25519*",
)  # fmt: skip
"""Files that may hold secrets, as lines of a .gitignore."""
SECRET, LINK = "it may hold a secret", "a link to what is not uploaded"


@dataclass
class Selection:
    """Files of a folder, by their paths in it, and why files that may hold secrets, and links, stay here."""

    files: dict[str, Path] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)


class Exclusions:
    """The rules of one folder.

    Args:
        is_repository: those of the git repository around it count.
    """

    def __init__(self, folder: Path, *, is_repository: bool = False) -> None:
        self._not_code = GitIgnoreSpec.from_lines(_NOT_CODE)
        self._secrets = GitIgnoreSpec.from_lines(SECRETS)
        self._rules: list[tuple[str, str, GitIgnoreSpec]] = []
        if is_repository:
            self._rules = list(_rules_around(folder.resolve()))

    def add(self, prefix: str, lines: list[str]) -> None:
        """Add the .gitignore of a folder, whose path ends with a slash."""
        self._rules.append((prefix, "", GitIgnoreSpec.from_lines(lines)))

    def is_secret(self, path: str) -> bool:
        """Return True for a file or, with a slash at its end, a folder of SECRETS."""
        return self._secrets.match_file(path)

    def is_ignored(self, path: str) -> bool:
        """Return True for a file or, with a slash at its end, a folder that a rule leaves here."""
        if self._not_code.match_file(path):
            return True
        for prefix, above, spec in reversed(self._rules):
            if path.startswith(prefix):
                verdict = spec.check_file(above + path[len(prefix) :]).include
                if verdict is not None:
                    return verdict
        return False


def selected(folder: Path, exclusions: Exclusions) -> Selection:
    """Return the regular files of a folder that no rule leaves here; links lead to one of them, or stay."""
    selection, links = Selection(), dict[str, Path]()
    for current, folders, names in os.walk(folder):
        relative = os.path.relpath(current, folder)
        prefix = "" if relative == "." else f"{relative}/"
        if ".gitignore" in names and os.path.isfile(os.path.join(current, ".gitignore")):
            exclusions.add(
                prefix, Path(current, ".gitignore").read_text(errors="replace").splitlines()
            )
        folders[:] = sorted(
            name for name in folders if _is_taken(f"{prefix}{name}/", exclusions, selection)
        )
        for name in sorted(names):
            path = Path(current, name)
            if path.exists() and _is_taken(f"{prefix}{name}", exclusions, selection):
                if path.is_symlink():
                    links[f"{prefix}{name}"] = path
                elif path.is_file():
                    selection.files[f"{prefix}{name}"] = path
    included = {path.resolve() for path in selection.files.values()}
    for name, path in links.items():
        if path.resolve() in included:
            selection.files[name] = path
        else:
            selection.withheld[name] = LINK
    return selection


def _is_taken(path: str, exclusions: Exclusions, selection: Selection) -> bool:
    if exclusions.is_ignored(path):
        return False
    if exclusions.is_secret(path):
        selection.withheld[path] = SECRET
        return False
    return True


def _rules_around(folder: Path) -> Iterator[tuple[str, str, GitIgnoreSpec]]:
    """Yield the rules of the repository above `folder`, the strongest last, unless they ignore all of it."""
    root = next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)
    if root is None:
        return
    places = [(file, root) for file in _git_files(root)]
    above = [place for place in reversed(folder.parents) if place.is_relative_to(root)]
    places += [(place / ".gitignore", place) for place in above]
    for file, place in places:
        if file.is_file():
            spec = GitIgnoreSpec.from_lines(file.read_text(errors="replace").splitlines())
            path = folder.relative_to(place).as_posix()
            inner = "" if path == "." else f"{path}/"
            if not inner or not spec.match_file(inner):
                yield "", inner, spec


def _git_files(root: Path) -> Iterator[Path]:
    """Yield the user's own file of ignored names, and the repository's."""
    for question in (
        ("config", "--type=path", "core.excludesFile"),
        ("rev-parse", "--git-path", "info/exclude"),
    ):
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *question], capture_output=True, text=True, check=False
            )
        except OSError:  # there is no git
            return
        if name := done.stdout.strip():
            yield root / name
        elif question[0] == "config":
            home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
            yield Path(home, "git", "ignore")
