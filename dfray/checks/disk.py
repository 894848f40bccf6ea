"""Checks of the place where a run writes: rights and free space."""

from __future__ import annotations

from collections.abc import Iterator

from dfray import storage
from dfray.checks.finding import Finding
from dfray.checks.subject import Subject
from dfray.faces.shard_plan import expected_bytes

GIB = 2**30


def work_dir(subject: Subject) -> Iterator[Finding]:
    """Yield the work_dir that cannot be written."""
    storage.require_writable(subject.run.runs.root)
    yield from ()


def space_for_faces(subject: Subject) -> Iterator[Finding]:
    """Yield a warning if the disk has less room than the missing faces are expected to take."""
    free = storage.free_bytes(subject.run.runs.root)
    if free is None or subject.videos is None or not subject.missing:
        return
    share = subject.missing / subject.videos.num_rows
    need = float(expected_bytes(subject.videos, subject.recipe.faces).sum()) * share
    if need > free:
        yield Finding(
            f"The faces of {subject.missing:,} videos take about {need / GIB:,.1f} GiB, and the disk of "
            f"{subject.run.runs.root} has {free / GIB:,.1f} GiB free.",
            "Free some space, choose another work_dir, lower faces.rate_fps or faces.frames, or set "
            "faces.storage: jpeg.",
            "warn",
        )
