"""Scheduling of tests on xdist's workers: files that share an expensive fixture stay on one worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

SHARED = {
    "ray": ("ray_session", "scored_in_process", "mlflow_url"),
    "run": ("refused_run", "promoted_run"),
}
"""Fixtures that start processes once for all files that ask for them; the files of a group stay together."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Return a scheduler by file (`--dist loadfile`), for which files of a group of shared fixtures are one.

    The process that schedules knows names of tests alone, so a file's text tells. xdist's marks for groups do
    nothing under pytest 9.2: they change `_nodeid`, which `nodeid` no longer reads.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class SharingFiles(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return group_of(config.rootpath / file) or file

    return SharingFiles(config, log)


@cache
def group_of(file: Path) -> str | None:
    """Return the first group with a fixture that the file names; None: it shares none."""
    text = file.read_text()
    groups = (group for group, fixtures in SHARED.items() if any(name in text for name in fixtures))
    return next(groups, None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import the test modules without garbage collection, and leave their imports out of later ones.

    torch, Ray and MLflow are millions of objects; a full collection over them takes half a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # else extension modules report at exit what was never collected
