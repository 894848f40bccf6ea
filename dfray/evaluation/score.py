"""Scoring as a Ray Data stage: faces of a split in, SCORES out.

What is distributed is a list of row ranges, not pixels: each actor holds the model, reads its own
rows from the shards, and only scores leave it. So no image crosses the object store, and the plan
needs one CPU per actor and no read task beside them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray import storage
from dfray.config import EvaluationSection
from dfray.errors import EvaluationError, UserError, explain
from dfray.faces.crop_codec import decode_images
from dfray.faces.quality import brightness, sharpness
from dfray.faces.shard_file import ShardFile
from dfray.faces.shards import ROW_GROUP, FacesStore, videos_by_shard
from dfray.tables import SCORES

if TYPE_CHECKING:
    import ray.data

    from dfray.models.bundle import Bundle

GROUPS_PER_TASK = 16
"""Row groups that one task reads at once: 1024 faces, about 150 MB of pixels at 224 x 224."""

RESTARTS = 2
"""How often a lost actor and its task are tried again; Ray's own default has no end."""

_MADE = ("fake_probability", "embedding", "sharpness", "brightness")
_COPIED = [name for name in SCORES.names if name not in _MADE]
_READ = [*_COPIED, "size_px", "encoding", "image"]


def score_faces(
    faces: FacesStore, bundle_uri: str, split: str, section: EvaluationSection
) -> ray.data.Dataset:
    """Every face of `split` scored by the model; lazy, on the Ray cluster that is connected.

    Args:
        faces: the run's; only row groups with faces of `split` are read.
        bundle_uri: the folder of a saved `Bundle`; every node must reach it.
        section: batch_size faces go through the model at once, on num_workers actors.

    Returns:
        SCORES, in no fixed order; `collect_scores` gives them in order.

    Raises:
        UserError: there is no face of this split.
    """
    return on_actors(FaceScorer, faces, bundle_uri, split, section)


def on_actors(
    scorer: type[FaceScorer],
    faces: FacesStore,
    bundle_uri: str,
    split: str,
    section: EvaluationSection,
    **options: Any,
) -> ray.data.Dataset:
    """Return the lazy rows that `scorer` yields for the tasks of `split`; it is made with `options`."""
    import ray.data
    from ray.util.annotations import RayDeprecationWarning

    tasks = plan_tasks(faces, split)
    if not tasks:
        raise UserError(
            f"There is no face of the split {split} under {faces.uri}.",
            "Extract that split, or evaluate another (evaluation.split).",
        )
    workers = min(section.num_workers, len(tasks))
    arguments = {"bundle_uri": storage.absolute(bundle_uri), "batch_size": section.batch_size}
    with warnings.catch_warnings():
        # Ray wants named parameters from 2.64 on, but has none yet for these two.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            scorer,
            fn_constructor_kwargs=arguments | options,
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=_gpu_share(ray.cluster_resources().get("GPU", 0), workers),
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
        )


def collect_scores(dataset: ray.data.Dataset) -> pa.Table:
    """Run the plan; SCORES in the order of video, frame and face.

    Raises:
        DfrayError, EvaluationError: as `collect`.
    """
    table = SCORES.conform(collect(dataset), "scores")
    return table.sort_by(
        [(name, "ascending") for name in ("video_id", "frame_index", "face_index")]
    )


def collect(dataset: ray.data.Dataset) -> pa.Table:
    """Run the plan; what the actors yielded, in no fixed order.

    Raises:
        DfrayError: what an actor raised, itself and not wrapped in Ray's report of it.
        EvaluationError: scoring failed otherwise, such as by actors that kept dying.
    """
    import ray
    from ray.exceptions import RayError

    try:
        tables = ray.get(dataset.to_arrow_refs())
    except RayError as error:
        hint = "Run again with --verbose for the traceback."
        raise explain(error, EvaluationError, "Scoring failed", hint) from error
    return pa.concat_tables(t for t in tables if t.num_rows)


def plan_tasks(store: FacesStore, split: str) -> list[dict[str, Any]]:
    """Return the split's faces as tasks {uri, groups, videos}.

    Every row group that holds any of them is in exactly one, with the video_ids to read of it.
    """
    tasks = []
    for shard, videos in videos_by_shard(store.summaries([split])).items():
        first, n_faces = videos["first_row"].to_numpy(), videos["n_faces"].to_numpy()
        ids = np.asarray(videos["video_id"].to_pylist(), object)
        first_group, last_group = first // ROW_GROUP, (first + n_faces - 1) // ROW_GROUP
        groups = sorted(
            {g for ends in zip(first_group, last_group, strict=True) for g in _range(*ends)}
        )
        for start in range(0, len(groups), GROUPS_PER_TASK):
            of_task = groups[start : start + GROUPS_PER_TASK]
            is_there = (first_group <= of_task[-1]) & (last_group >= of_task[0])
            task = {"uri": store.shard_uri(shard), "groups": of_task}
            tasks.append(task | {"videos": ids[is_there].tolist()})
    return tasks


def _range(first: int, last: int) -> range:
    return range(int(first), int(last) + 1)


class FaceScorer:
    """The actor: one model, and the faces of one task at a time."""

    def __init__(self, bundle_uri: str, batch_size: int) -> None:
        import ray

        from dfray.models.bundle import Bundle

        with storage.local_folder(bundle_uri) as folder:
            self.bundle = Bundle.load(folder, "cuda" if ray.get_gpu_ids() else "cpu")
        self.batch_size = batch_size

    def __call__(self, tasks: pa.Table) -> Iterator[pa.Table]:
        for task in tasks.to_pylist():
            faces = self.read(task)
            for start in range(0, faces.num_rows, self.batch_size):
                yield score_table(self.bundle, faces.slice(start, self.batch_size))

    def read(self, task: dict[str, Any]) -> pa.Table:
        """The rows of FACES of one task."""
        faces = ShardFile(task["uri"]).read_row_groups(task["groups"], _READ)
        return faces.filter(pc.is_in(faces["video_id"], pa.array(task["videos"], pa.string())))


def score_table(bundle: Bundle, faces: pa.Table) -> pa.Table:
    """SCORES of the rows of one batch of FACES.

    Raises:
        SchemaError: a crop is not what its row says.
        EvaluationError: the model gave no finite number for a face.
    """
    images = np.require(decode_images(faces), requirements="W")  # torch warns of read-only memory
    probabilities, embeddings = bundle.predict(images, batch_size=len(images))
    finite = np.isfinite(probabilities) & np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        video = faces.column("video_id")[int(np.argmin(finite))].as_py()
        raise EvaluationError(
            f"The model gives no finite score for {len(finite) - finite.sum()} face(s) of a batch, "
            f"such as one of {video}.",
            "Its weights are probably not finite; look at the training curves.",
        )
    offsets = np.arange(len(embeddings) + 1, dtype=np.int32) * embeddings.shape[1]
    values = pa.array(np.ascontiguousarray(embeddings, np.float32).ravel())
    columns = {name: faces.column(name) for name in _COPIED} | {
        "fake_probability": pa.array(probabilities.astype(np.float32)),
        "embedding": pa.ListArray.from_arrays(pa.array(offsets), values),
        "sharpness": pa.array([sharpness(image) for image in images], pa.float32()),
        "brightness": pa.array([brightness(image) for image in images], pa.float32()),
    }
    return SCORES.conform(pa.table(columns), "scores")


def _gpu_share(gpus: float, workers: int) -> float:
    """GPUs of each worker: a whole one, or an even part where several must share each."""
    return 1 / math.ceil(workers / gpus) if gpus else 0.0
