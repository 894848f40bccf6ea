"""Extraction of the faces of a run's videos."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dfray import storage
from dfray.config import ClusterSection
from dfray.faces.shards import FacesStore
from dfray.notes import warn
from dfray.progress import counting_actor, stage, watching
from dfray.resources import Need
from dfray.run_context import RunContext
from dfray.session import cpus_of, require_resources

_WITHOUT_FACES = ("unreadable", "crashed", "timed_out", "no_face")


def extract_missing_faces(run: RunContext) -> pa.Table:
    """Extract the faces of every video of the manifest that has none yet.

    While another run extracts into the store, this one follows it.

    Returns:
        SUMMARIES of all of the run's videos.

    Raises:
        ResourceError: the cluster has too few CPUs.
        StorageError: the lock of the store was lost.
    """
    with run.extraction_turn() as turn:
        if turn.is_due:
            _extract(run)
    run.faces.note_unchecked()
    return run.faces.summaries()


def remove_damaged_shards(run: RunContext) -> None:
    """Compare all stored faces with what was committed, and remove damaged shards; their videos are named.

    Raises:
        LockedError: another command extracts into the store.
        UserError: its faces are of another version, so that none may join them.
    """
    from dfray.dependencies import of_faces
    from dfray.faces.verification import verify

    store = FacesStore(run.runs.faces(of_faces(run.recipe).key))
    with storage.locked(store.uri, f"{run.recipe.name} --verify"), stage("verify") as line:
        shards, damaged = store.committed(), []
        for done, found in enumerate(verify(store, shards), 1):
            line.update(done=done, total=len(shards))
            damaged += [found] if found else []
        if damaged:
            store.require_current_version([video for shard in damaged for video in shard.videos])
        for shard in damaged:
            store.remove(shard.name)
        line.finish(f"{len(damaged)} of {len(shards)} shards were damaged")
    for shard in damaged:
        videos = ", ".join(shard.videos) or "its commit record is what is damaged"
        warn(
            f"Shard {shard.name} was damaged ({shard.reason}) and is removed; {len(shard.videos)} video(s) "
            f"are extracted again: {videos}."
        )


def _extract(run: RunContext) -> None:
    from dfray.faces.extract import write_faces

    cluster, videos = run.recipe.cluster, run.manifest
    with run.session(), stage("extract", videos.num_rows) as line:
        workers = _extract_workers(cluster)
        extracted = run.extracted()
        if extracted.done:
            line.say(extracted.note)
        progress = counting_actor()
        with watching(progress, lambda counts: line.update(**_line_fields(counts, extracted.done))):
            write_faces(
                videos,
                run.folder.faces,
                run.recipe.faces,
                workers=workers,
                seed=run.recipe.seed,
                progress=progress,
                on=cluster.extract_on,
            )
        line.finish()


def _extract_workers(cluster: ClusterSection) -> int:
    """Return the number of extraction actors that the cluster has CPUs for."""
    require_resources([Need("extraction", 1, labels=cluster.extract_on)], wait_s=cluster.wait_s)
    free = max(1, int(cpus_of(cluster.extract_on)) - 1)
    workers = cluster.extract_workers or free
    return workers if cluster.wait_s else min(workers, free)  # an autoscaler may add nodes


def _line_fields(counts: dict[str, Any], done_before: int) -> dict[str, Any]:
    """Return the progress line's fields from the sums that the actors report."""
    faces = f"{int(counts.get('faces', 0))} faces"
    without = sum(int(counts.get(outcome, 0)) for outcome in _WITHOUT_FACES)
    return {
        "done": done_before + int(counts.get("videos", 0)),
        "detail": f"{faces}, {without} videos without" if without else faces,
    }
