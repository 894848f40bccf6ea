"""Recipes, protocols and papers that are installed with dfray, by name.

A checkout has them in jobs/; a wheel puts them into share/dfray of the environment.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Literal

from dfray import storage
from dfray.errors import UserError, did_you_mean

Kind = Literal["recipe", "protocol", "paper"]


def installed_folder(kind: Kind) -> Path:
    """Return the folder of the installed YAML files of a kind."""
    checkout = Path(__file__).parent.parent / "jobs" / f"{kind}s"
    return (
        checkout if checkout.is_dir() else Path(sysconfig.get_path("data"), f"share/dfray/{kind}s")
    )


def installed_names(kind: Kind) -> list[str]:
    """Return the names of the installed files, sorted; files to extend (_NAME.yaml) are left out."""
    return sorted(path.stem for path in installed_folder(kind).glob("[!_]*.yaml"))


def find_file(kind: Kind, name_or_path: str, failure: type[UserError] = UserError) -> str:
    """Return the path or URI of a YAML file, or the path of the installed file of that name.

    Raises:
        UserError: neither exists, as `failure`; the nearest installed name is suggested.
    """
    if storage.is_remote(name_or_path) or Path(name_or_path).is_file():
        return name_or_path
    return installed_file(kind, name_or_path, failure)


def installed_file(
    kind: Kind, name: str, failure: type[UserError] = UserError, hint: str = ""
) -> str:
    """Return the path of the installed file of that name.

    Args:
        hint: sentence in front of the names that there are, for the message.

    Raises:
        UserError: there is none, as `failure`; the nearest name is suggested.
    """
    installed = installed_folder(kind) / f"{name}.yaml"
    if installed.is_file():
        return str(installed)
    names = installed_names(kind)
    raise failure(
        f"No {kind} is called {name!r}, and no such file is there.",
        f"{hint} {did_you_mean(name, names)} There are: {', '.join(names)}.".strip(),
    )
