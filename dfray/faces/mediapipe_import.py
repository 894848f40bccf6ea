"""Import of MediaPipe without the libraries with which it draws and records sound.

It imports matplotlib.pyplot and sounddevice for functions that dfray does not call, which is six sevenths of
the CPU time of its import, at the start of every child process of extraction.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_DEFERRED = ("matplotlib", "matplotlib.pyplot", "sounddevice")


def import_mediapipe() -> ModuleType:
    """Return the module `mediapipe`."""
    with deferred(*_DEFERRED):
        import mediapipe

    module: ModuleType = mediapipe
    return module


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Put off every import of the modules `names` inside the context until an attribute of theirs is read.

    Args:
        names: full names, a package before its modules; those imported already stay as they are.
    """
    stand_ins = {name: _StandIn(name) for name in names if name not in sys.modules}
    for name, stand_in in stand_ins.items():
        package, _, child = name.rpartition(".")
        if package in stand_ins:
            setattr(stand_ins[package], child, stand_in)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            stand_in.step_aside()


class _StandIn(ModuleType):
    """Module whose attributes are those of the module of the same name, imported when one is read."""

    def __getattr__(self, attribute: str) -> Any:
        self.step_aside()
        return getattr(importlib.import_module(self.__name__), attribute)

    def step_aside(self) -> None:
        """Let the next import of this name find the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
