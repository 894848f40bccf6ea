"""Time and resources that a recipe takes on a cluster, from a minute's measurement on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray import storage
from dfray.config import Recipe
from dfray.datasets.files import Files
from dfray.datasets.manifest import read_manifest
from dfray.datasets.probe import probe
from dfray.errors import ManifestError, UserError
from dfray.faces.shard_plan import UNKNOWN_DURATION_S
from dfray.progress import ASIDE, stage
from dfray.run_context import RunContext
from dfray.run_manifest import check_manifest
from dfray.tables import VIDEOS

if TYPE_CHECKING:
    from dfray.batches.labels import LabelScheme
    from dfray.planning.measure import ExtractionCost
    from dfray.planning.nodes import Nodes
    from dfray.planning.plan import ClusterPlan
    from dfray.planning.speed import Speed

MeasureFaces = Callable[[pa.Table, Recipe, int, float], "ExtractionCost"]
"""`measure_faces`, or what stands in its place."""
PUBLISHED = "published"
SAMPLE, SECONDS = 200, 40.0


def plan_cluster(
    run: RunContext,
    nodes: str,
    *,
    manifest: str | None = None,
    clips: str | None = None,
    duration_s: float | None = None,
    images_per_s: float | None = None,
    sample: int = SAMPLE,
    seconds: float = SECONDS,
    measure: MeasureFaces | None = None,
) -> ClusterPlan:
    """Measure extraction and training on this machine; return the plan for `nodes`.

    Args:
        nodes: as `dfray.planning.nodes.parse_nodes` reads them.
        manifest: URI of VIDEOS; `published`: as many videos as are published of the recipe's corpora;
            None: the run's manifest, or the one it would have.
        clips: folder of videos to measure on instead of the manifest's.
        duration_s: length of the videos of a dataset whose lengths are unknown; None: that of the
            measured ones.
        images_per_s: of one training worker; None: measured.
        sample: videos to measure, at most.
        seconds: wall time to measure extraction for, about.
        measure: in place of `measure_faces`, such as one that remembers its results.

    Raises:
        UserError: `nodes` cannot be read, or the manifest is empty.
        ManifestError: no video of the sample could be read.
        ResourceError: the nodes are too few for the recipe, or their training speed is unknown.
    """
    from dfray.planning.extraction import estimate_extraction
    from dfray.planning.nodes import parse_nodes
    from dfray.planning.plan import ClusterPlan, require_room
    from dfray.training.classes import require_trainable_classes
    from dfray.training.estimate import estimate_training

    recipe, cluster = run.recipe, parse_nodes(nodes)
    require_room(recipe, cluster)
    videos, notes = _videos(run, manifest, clips)
    measured = _clips(clips) if clips else videos
    videos, assumed = with_lengths(videos, measured if clips else None, duration_s)
    classes = require_trainable_classes(recipe, None if manifest == PUBLISHED else videos)
    speed = _training_speed(recipe, classes, cluster, images_per_s)
    cost = (measure or measure_faces)(measured, recipe, sample, seconds)
    total = estimate_extraction(videos, cost, recipe.faces, recipe.batches, recipe.seed)
    return ClusterPlan(
        recipe=recipe,
        nodes=cluster,
        extraction=total,
        read_per_s=cost.read_per_cpu_s,
        measured_bytes=cost.memory_bytes,
        speed=speed,
        training=estimate_training(recipe, len(classes.class_names), total.per_epoch["train"]),
        clips=clips,
        notes=(*notes, *assumed, *_busy()),
    )


def _training_speed(
    recipe: Recipe, classes: LabelScheme, cluster: Nodes, images_per_s: float | None
) -> Speed:
    from dfray.planning.speed import training_speed

    with stage("measure training") as line:
        speed = training_speed(recipe, classes, cluster, images_per_s)
        rate = f"{speed.images_per_s:,.1f} images/s a worker"
        if speed.is_measured:
            line.finish(rate)
        else:
            line.finish(f"nothing measured: {rate}, {speed.origin}", ASIDE)
    return speed


def _busy() -> list[str]:
    """Return a note if the machine was busy while it measured."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= cores:
        return []
    return [
        f"This machine was busy (load {load:.0f} on {cores} cores), and the same work takes more CPU "
        "seconds then: measure again when it is quiet."
    ]


def measure_faces(videos: pa.Table, recipe: Recipe, sample: int, seconds: float) -> ExtractionCost:
    """Return the cost of extracting a sample of VIDEOS, measured on one core here."""
    from dfray.planning.measure import measure_extraction

    with stage("measure faces") as line:
        cost = measure_extraction(
            videos,
            recipe.faces,
            sample=sample,
            seconds=seconds,
            seed=recipe.seed,
            on_video=lambda done, dataset: line.update(detail=f"{done} videos, {dataset}"),
        )
        count = sum(len(dataset.videos) for dataset in cost.datasets.values())
        line.finish(f"{count} videos")
    return cost


def _videos(run: RunContext, manifest: str | None, clips: str | None) -> tuple[pa.Table, list[str]]:
    """Return the VIDEOS to plan for, and notes on them."""
    from dfray.planning.published import published_videos

    notes: list[str] = []
    if manifest != PUBLISHED:
        videos = check_manifest(run).videos if manifest is None else read_manifest(manifest)
    elif clips is None:
        raise UserError(
            "--manifest published has no videos to measure on.",
            "Name a folder of some with --clips.",
        )
    else:
        videos, unknown = published_videos(run.recipe)
        notes += [
            "The videos are those published of the recipe's corpora, and their lengths; none was opened."
        ]
        notes += [f"Left out, as nothing is published of it: {name}." for name in unknown]
    if videos.num_rows == 0:
        raise ManifestError(
            f"{manifest or 'The manifest'} holds no video.", "See `dfray manifest check`."
        )
    of_demo = run.recipe.demo is not None and manifest is None and clips is None
    if of_demo and not storage.exists(videos["uri"][0].as_py()):
        raise UserError(
            "The demo's clips are not drawn yet, so there is nothing to measure.",
            "`dfray manifest build` with the same recipe draws them; --clips FOLDER names others.",
        )
    if clips and any(videos["n_images"].to_pylist()):
        notes.append("A picture of a folder costs as much as a sampled frame of the clips.")
    return videos, notes


def _clips(folder: str) -> pa.Table:
    """Return VIDEOS of all videos under `folder`, as one dataset.

    Raises:
        UserError: there is no such folder.
        ManifestError: it holds no video.
    """
    files = Files(folder)
    uris = [files.uri(path) for path in files.videos()]
    if not uris:
        raise ManifestError(f"--clips: {folder} holds no video.", "Name a folder that does.")
    rows = [
        {
            "video_id": f"clips/{number}",
            "dataset": "clips",
            "split": "train",
            "label": 0,
            "category": "real",
            "method": "clips",
            "uri": uri,
            "duration_s": probe(uri).duration_s,
        }
        for number, uri in enumerate(uris)
    ]
    return VIDEOS.from_rows(rows)


def with_lengths(
    videos: pa.Table, clips: pa.Table | None, duration_s: float | None
) -> tuple[pa.Table, list[str]]:
    """Fill in lengths of datasets that state none; return VIDEOS and a sentence for each dataset."""
    mean_s = pc.mean(clips["duration_s"]).as_py() if clips is not None else None
    assumed_s = duration_s or mean_s or UNKNOWN_DURATION_S
    source = "--duration-s" if duration_s else "the clips'" if mean_s else "a guess"
    lengths = videos["duration_s"].to_pylist()
    is_video = np.asarray(videos["n_images"].to_pylist()) == 0
    dataset = np.asarray(videos["dataset"].to_pylist())
    unknown = np.array([length is None for length in lengths]) & is_video
    in_part, wholly = [], []
    for name in np.unique(dataset[unknown]).tolist():
        rows = dataset == name
        if unknown[rows].sum() < (rows & is_video).sum():
            in_part.append(name)  # expected_faces gives them the mean of the others
            continue
        wholly.append(name)
        for row in np.flatnonzero(unknown & rows):
            lengths[row] = assumed_s
    notes = [f"Videos of unknown length are as long as the others of {name}." for name in in_part]
    if wholly:
        notes.append(f"Each video of {', '.join(wholly)} is {assumed_s:.1f} s long ({source}).")
    column = videos.schema.get_field_index("duration_s")
    field = videos.schema.field(column)
    filled = videos.set_column(column, field, pa.array(lengths, pa.float64()))
    return filled, notes
