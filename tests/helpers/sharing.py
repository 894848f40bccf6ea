"""Scheduling of tests on xdist's workers: files that share an expensive fixture stay on one worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadGroupScheduling

SHARED = {"ray_session", "mlflow_url"}
"""Fixtures that start processes once for all files that ask for them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of a file in which one asks for a shared fixture."""
    sharing = {item.path for item in items if SHARED & set(getattr(item, "fixturenames", ()))}
    for item in items:
        if item.path in sharing:
            item.add_marker(pytest.mark.xdist_group("shared"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling | None:
    """Return a scheduler by group (`--dist loadgroup`), where tests without one are grouped by file."""
    from xdist.scheduler import LoadGroupScheduling

    class GroupOrFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            return nodeid.partition("::")[0] if scope == nodeid else scope

    return GroupOrFile(config, log) if config.getvalue("dist") == "loadgroup" else None


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
