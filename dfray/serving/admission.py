"""Inputs that a scorer may open: for a service, what its operator names; for a user's own command, all.

Whoever may send a request to a service names paths of its machine, and objects that its credentials can read.
So a service opens nothing by name, unless its operator's environment lists from where: DFRAY_SERVE_FROM.
Pictures that a request brings along need no permission.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from dfray import storage
from dfray.errors import UserError
from dfray.faces.sources import MAX_FILE_BYTES
from dfray.faces.supervise import Bounds

_SERVE_MB, _SERVE_LIMIT_S = 2048, 600


class NotAdmittedError(UserError):
    """A path or URI that a service may not open."""


@dataclass(frozen=True)
class Admission:
    """Rule by which inputs are opened.

    Attributes:
        prefixes: folders and URIs below which files are opened; none: anywhere.
        bounds: of each file.
    """

    prefixes: tuple[str, ...] | None = None
    bounds: Bounds = field(default_factory=Bounds)

    @classmethod
    def of_service(cls) -> Self:
        """Return the rule that the environment of a service states.

        DFRAY_SERVE_FROM holds folders and s3:// URIs, divided by commas; DFRAY_SERVE_MAX_MB and
        DFRAY_SERVE_LIMIT_S bound the size of a file and the time for it.
        """
        named = os.environ.get("DFRAY_SERVE_FROM", "").split(",")
        n_mb = float(os.environ.get("DFRAY_SERVE_MAX_MB") or _SERVE_MB)
        time_s = float(os.environ.get("DFRAY_SERVE_LIMIT_S") or _SERVE_LIMIT_S)
        bounds = Bounds(min(int(n_mb * 2**20), MAX_FILE_BYTES), time_s)
        return cls.below((prefix.strip() for prefix in named if prefix.strip()), bounds)

    @classmethod
    def below(cls, prefixes: Iterable[str], bounds: Bounds | None = None) -> Self:
        """Return the rule that opens what lies below folders and s3:// URIs."""
        return cls(tuple(map(_place, prefixes)), bounds or Bounds())

    def place_of(self, uri: str) -> str:
        """Return the place to open for `uri`: on a disk without links, so that none leads elsewhere.

        Raises:
            NotAdmittedError: it lies below none of the prefixes.
        """
        if self.prefixes is None:
            return uri
        place = _place(uri)
        if not any(place.startswith(f"{prefix.rstrip('/')}/") for prefix in self.prefixes):
            raise NotAdmittedError(
                "This service does not open it.",
                "Send a picture's bytes, or ask its operator: DFRAY_SERVE_FROM lists what it opens.",
            )
        return place


def _place(uri: str) -> str:
    return uri if storage.is_remote(uri) else os.path.realpath(storage.absolute(uri))
