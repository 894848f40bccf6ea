"""Import path of the scorer in versions that were registered before it moved to `dfray.serving.scorer`.

A version carries its own entry module. It imports `PictureScorer` from here, from the dfray that is
installed: the name stays as long as such versions may be loaded. Nothing else in dfray uses it.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "PictureScorer":
        return importlib.import_module("dfray.serving.scorer").MediaScorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
