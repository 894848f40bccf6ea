"""Start and watch a training run on Ray Train: a recipe and faces in, the best epoch's bundle out.

The driver decides what the workers read: written faces, or for the first epoch the running extraction.
Every epoch reports a checkpoint; Ray Train keeps the latest, to resume from, and the one with the lowest
validation loss, which becomes the model. Started again under the same name it goes on after the last epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dfray import storage
from dfray.batches.sample import require_batch, sample_faces
from dfray.batches.stream import with_stream_quotas
from dfray.config import Recipe
from dfray.faces.extract import extract_faces
from dfray.faces.shards import FacesStore
from dfray.models.backbone import build_detector
from dfray.models.weights import resolve
from dfray.run_folder import RunFolder
from dfray.session import cpus_of, nodes_of, require_cpus
from dfray.training.classes import require_trainable_classes
from dfray.training.context import EpochRecord
from dfray.training.failure import explain_failure, reached
from dfray.training.worker import train_worker

if TYPE_CHECKING:
    import ray.data
    import ray.train
    from ray.actor import ActorHandle

OnEpoch = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Workers:
    """How a run uses the cluster."""

    train: range
    use_gpu: bool
    cpus_per_train_worker: int
    extract: int
    train_on: dict[str, str]

    @classmethod
    def of(cls, recipe: Recipe, *, streaming: bool) -> Workers:
        """What the recipe asks for, on the cluster that Ray is connected to.

        Raises:
            ResourceError: the cluster has too few CPUs for it.
        """
        import ray

        section, cluster = recipe.training, recipe.cluster
        counts = section.worker_counts
        plan: dict[str, float] = {"train workers": counts[0] * section.cpus_per_worker}
        if streaming:
            plan |= {"extraction": 1}  # its plan reads nothing: no task beside the actors
        places = {"train workers": cluster.train_on, "extraction": cluster.extract_on}
        require_cpus(plan, places, wait_s=cluster.wait_s)
        use_gpu = section.use_gpu
        if use_gpu is None:
            use_gpu = ray.cluster_resources().get("GPU", 0) > 0
        extracting, training = nodes_of(cluster.extract_on), nodes_of(cluster.train_on)
        shared = any(node in training for node in extracting)
        taken = counts[-1] * section.cpus_per_worker if shared else 0
        left = max(1, int(cpus_of(cluster.extract_on)) - taken - 1)
        extract = min(cluster.extract_workers or left, left)
        return cls(counts, use_gpu, section.cpus_per_worker, extract, cluster.train_on)

    def scaling(self) -> ray.train.ScalingConfig:
        import ray.train

        resources: dict[str, float] = {"CPU": self.cpus_per_train_worker}
        if self.use_gpu:
            resources["GPU"] = 1
        return ray.train.ScalingConfig(
            num_workers=(self.train[0], self.train[-1]),
            use_gpu=self.use_gpu,
            resources_per_worker=resources,
            # GPUs of one node talk fastest; CPU workers are as many nodes' as there are.
            placement_strategy="PACK" if self.use_gpu else "SPREAD",
            label_selector=self.train_on or None,
        )


def train_detector(
    recipe: Recipe,
    videos: pa.Table,
    *,
    stream: bool,
    progress: ActorHandle,
    on_epoch: OnEpoch | None = None,
    folder: RunFolder | None = None,
    record: EpochRecord | None = None,
) -> list[dict[str, float]]:
    """Train, and write the bundle of the best epoch to the run's `model/`.

    Args:
        videos: VIDEOS; read only if `stream`.
        stream: feed the first epoch from the extraction of `videos`, else all from written faces.
        progress: a counting actor, told of steps, losses and extracted videos.
        on_epoch: called on the driver's node with the figures of every epoch.
        folder: where it all lies; default: the recipe's own.
        record: of a search's trial, which shares the cluster with others: keeps each epoch, the model
            among it, instead.

    Returns:
        A dict of figures for each epoch: `epoch`, `lr`, `train_*`, `val_*`, `steps`, ...

    Raises:
        ResourceError: the cluster is too small.
        ManifestError, RecipeError: as `require_trainable_classes`, or a sample is too small.
        RecipeError, ModelFileError: the network cannot be built or started as asked.
        TrainingError: training failed for good; its cause is told.
    """
    import ray.train

    from dfray.training.elastic import ElasticTrainer, FreeCPUs, LivingNodes

    folder = folder or RunFolder(recipe)
    workers = Workers.of(recipe, streaming=stream)
    config = worker_config(recipe, videos if stream else None, progress, folder)
    config["record"] = record
    extract_on = recipe.cluster.extract_on if stream else None
    if stream:
        quotaed, config["stream_steps"] = with_stream_quotas(videos, recipe.faces, recipe.batches)
    progress.note.remote({"model": require_trainable(config)})
    datasets: dict[str, ray.data.Dataset] = {}
    if stream:
        datasets["faces"] = extract_faces(
            quotaed,
            folder.faces,
            recipe.faces,
            emit="faces",
            workers=workers.extract,
            on=extract_on,
            seed=recipe.seed,
            progress=progress,
        )
    sized_by = LivingNodes if record is None else FreeCPUs
    trainer = ElasticTrainer(
        train_worker,
        train_loop_config=config,
        datasets=datasets,
        policy=sized_by(workers.scaling(), progress, extract_on),
        run_config=_run_config(recipe, folder, on_epoch),
    )
    try:
        result = trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise explain_failure(error, reached(progress), recipe.training.epochs) from error
    if record is None:
        _keep_best(result, folder)
    return result.return_value


def _keep_best(result: ray.train.Result, folder: RunFolder) -> None:
    best, _ = min(result.best_checkpoints, key=lambda found: found[1]["selection_loss"])
    with best.as_directory() as path:
        storage.put_folder(f"{path}/bundle", folder.model, last="bundle.json")


def worker_config(
    recipe: Recipe, streamed: pa.Table | None, progress: ActorHandle | None, folder: RunFolder
) -> dict[str, Any]:
    """What every worker is told.

    Args:
        streamed: VIDEOS whose extraction feeds the first epoch; none: all faces are written.

    Raises:
        ManifestError, RecipeError, ModelFileError: as `train_detector`.
    """
    store = FacesStore(folder.faces)
    known = store.summaries(["train", "val"]) if streamed is None else streamed
    classes = require_trainable_classes(recipe, known)
    model = resolve(recipe.model)
    # The workers' current directory is another.
    there = recipe.model_copy(update={"work_dir": folder.work_dir, "model": model})
    return {
        "recipe": there.model_dump(mode="json"),
        "class_names": list(classes.class_names),
        "faces": folder.faces,
        "progress": progress,
    }


def require_trainable(config: dict[str, Any]) -> list[str]:
    """Refuse first what the workers would refuse, as Ray would try it again; returns what the model tells.

    Args:
        config: a `worker_config`.

    Raises:
        ManifestError, RecipeError, ModelFileError: as `train_detector`.
    """
    recipe, faces = Recipe.model_validate(config["recipe"]), FacesStore(config["faces"])
    told = build_detector(recipe.model, len(config["class_names"])).told()
    if "stream_steps" not in config:
        sample_faces(faces.summaries(["val"]), "val", recipe.batches)
        train = sample_faces(faces.summaries(["train"]), "train", recipe.batches)
        require_batch(train, recipe.batches)
    return told


def _run_config(recipe: Recipe, folder: RunFolder, on_epoch: OnEpoch | None) -> ray.train.RunConfig:
    import ray.train

    class TellEpoch(ray.train.UserCallback):
        def after_report(self, run_context: Any, metrics: list[dict], checkpoint: Any) -> None:
            del run_context, checkpoint  # Ray's signature
            if on_epoch:
                on_epoch(metrics[0])

    failures = recipe.training.max_failures
    fs, path = storage.arrow_filesystem(folder.root)
    return ray.train.RunConfig(
        name="train",
        storage_path=path,
        storage_filesystem=fs,
        checkpoint_config=ray.train.CheckpointConfig(
            num_to_keep=1,
            checkpoint_score_attribute="selection_loss",
            checkpoint_score_order="min",
        ),
        failure_config=ray.train.FailureConfig(
            max_failures=failures,
            # Ray's default has no end, and a store that stays full fails the controller again and again.
            controller_failure_limit=failures,
        ),
        callbacks=[TellEpoch()],
    )
