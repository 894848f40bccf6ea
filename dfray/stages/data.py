"""From corpora to faces: the clips of the demo, the manifest, the extraction."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dfray import storage
from dfray.config import Recipe
from dfray.datasets import manifest as manifests
from dfray.datasets.manifest import Manifest
from dfray.faces.shards import FacesStore
from dfray.progress import counting_actor, stage, watching
from dfray.run_folder import RunFolder
from dfray.session import cpus_of, require_cluster, require_cpus, session


def check_manifest(recipe: Recipe, *, opened: int | None = manifests.OPENED) -> Manifest:
    """Read and check the corpora; writes nothing (but the demo's clips, if the recipe has them).

    Args:
        opened: files of each dataset that are opened; none: all.
    """
    if recipe.demo is not None:
        _generate_clips(recipe)
    with stage("manifest", total=1) as line:
        found = manifests.build_manifest(recipe.corpora, line.update, opened=opened)
        line.finish(f"{found.videos.num_rows} videos, {len(found.missing)} missing")
    return found


def build(recipe: Recipe) -> Manifest:
    """Check the corpora and write the run's manifest."""
    folder = RunFolder(recipe)
    folder.claim()
    found = check_manifest(recipe)
    manifests.write_manifest(found, folder.manifest)
    return found


def extract(recipe: Recipe, *, verbose: bool = False) -> pa.Table:
    """Extract the faces of every video of the manifest that has none yet.

    Returns:
        SUMMARIES of all of the run's videos.
    """
    from dfray.faces.extract import write_faces

    require_cluster(recipe.cluster)
    folder = RunFolder(recipe)
    folder.claim()
    videos = manifest_of(recipe)
    store = FacesStore(folder.faces)
    with session(recipe.cluster, verbose=verbose), stage("extract", videos.num_rows) as line:
        on = recipe.cluster.extract_on
        require_cpus({"extraction": 1}, {"extraction": on}, wait_s=recipe.cluster.wait_s)
        free = max(1, int(cpus_of(on)) - 1)
        workers = recipe.cluster.extract_workers or free
        if not recipe.cluster.wait_s:  # else more nodes may come for them
            workers = min(workers, free)
        if done := count_done(store, videos):
            line.say(told_done(done, videos.num_rows))
        progress = counting_actor()
        with watching(progress, lambda counts: line.update(**_extraction_line(counts, done))):
            write_faces(
                videos,
                folder.faces,
                recipe.faces,
                workers=workers,
                seed=recipe.seed,
                progress=progress,
                on=on,
            )
        line.finish()
    return store.summaries()


def manifest_of(recipe: Recipe) -> pa.Table:
    """The run's manifest, built if it is not there."""
    folder = RunFolder(recipe)
    if storage.exists(folder.manifest):
        return manifests.read_manifest(folder.manifest)
    return build(recipe).videos


def count_done(store: FacesStore, videos: pa.Table) -> int:
    done = set(store.summaries()["video_id"].to_pylist())
    return len(done.intersection(videos["video_id"].to_pylist()))


def told_done(done: int, videos: int) -> str:
    return f"{done:,} of {videos:,} videos are done and are not extracted again"


def _generate_clips(recipe: Recipe) -> None:
    from dfray.demo import generate_clips

    assert recipe.demo is not None
    with stage("clips", total=1) as line:
        generate_clips(RunFolder(recipe).clips, recipe.demo, recipe.seed, line.update)
        line.finish()


def _extraction_line(counts: dict[str, Any], done: int) -> dict[str, Any]:
    found = int(counts.get("videos", 0))
    wrong = sum(int(counts.get(k, 0)) for k in ("unreadable", "crashed", "timed_out", "no_face"))
    detail = f"{int(counts.get('faces', 0))} faces"
    return {
        "done": done + found,
        "detail": f"{detail}, {wrong} videos without" if wrong else detail,
    }
