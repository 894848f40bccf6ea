"""Training run on Ray Train: a recipe and faces in, the best epoch's bundle out.

The driver selects the input of the workers: written faces, or for the first epoch the running extraction.
Every epoch reports a checkpoint; Ray Train keeps the latest, to resume from, and the one with the lowest
validation loss, which becomes the model. A run started again under its name resumes after the last epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from dfray import storage
from dfray.batches.labels import LabelScheme
from dfray.batches.sample import require_batch, sample_faces
from dfray.batches.stream import with_stream_quotas
from dfray.config import Recipe
from dfray.errors import RecipeError
from dfray.faces.extract import extract_faces
from dfray.faces.view import FacesView
from dfray.models.backbone import build_detector
from dfray.models.bundle import store_bundle
from dfray.models.weights import resolve
from dfray.run_folder import RunFolder
from dfray.session import cpus_of, nodes_of, ray_nodes, require_resources
from dfray.training.classes import require_trainable_classes
from dfray.training.context import EpochMetrics, EpochRecord, History, TrainingStatus
from dfray.training.failure import controller_died, explain_failure, last_status
from dfray.training.learner import Learner
from dfray.training.needs import training_needs, trains_on_gpus
from dfray.training.recomputing import require_no_statistics
from dfray.training.worker import train_worker
from dfray.training.worker_config import CheckFaces, WorkerConfig

if TYPE_CHECKING:
    import ray.data
    import ray.train
    from ray.actor import ActorHandle

    from dfray.training.elastic import ElasticTrainer

OnEpoch = Callable[[EpochMetrics], None]


@dataclass(frozen=True)
class Workers:
    """Workers of a run and their resources.

    Attributes:
        train: numbers of training workers that the run accepts.
        extract: extraction workers of a streamed first epoch, one CPU each.
        train_on: node labels of the training workers.
    """

    train: range
    use_gpu: bool
    cpus_per_train_worker: int
    extract: int
    train_on: dict[str, str]

    @classmethod
    def of(cls, recipe: Recipe, *, streaming: bool) -> Workers:
        """Return the workers of a recipe on the cluster that Ray is connected to.

        Raises:
            ResourceError: the cluster has too few CPUs or GPUs.
        """
        section, cluster = recipe.training, recipe.cluster
        counts, nodes = section.worker_counts, ray_nodes()
        needs = training_needs(recipe, nodes, workers=counts[0], streaming=streaming)
        require_resources(needs, wait_s=cluster.wait_s)
        use_gpu = trains_on_gpus(recipe, nodes)
        extracting, training = nodes_of(cluster.extract_on), nodes_of(cluster.train_on)
        shared = any(node in training for node in extracting)
        train_cpus = counts[-1] * section.cpus_per_worker if shared else 0
        free_cpus = max(1, int(cpus_of(cluster.extract_on)) - train_cpus - 1)
        extract = min(cluster.extract_workers or free_cpus, free_cpus)
        return cls(counts, use_gpu, section.cpus_per_worker, extract, cluster.train_on)

    def scaling_config(self) -> ray.train.ScalingConfig:
        import ray.train

        resources: dict[str, float] = {"CPU": self.cpus_per_train_worker}
        if self.use_gpu:
            resources["GPU"] = 1
        return ray.train.ScalingConfig(
            num_workers=(self.train[0], self.train[-1]),
            use_gpu=self.use_gpu,
            resources_per_worker=resources,
            # GPUs of one node communicate fastest; CPU workers are spread over all nodes.
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
    check_streamed: CheckFaces | None = None,
) -> History:
    """Train, and write the bundle of the best epoch to the run's `model/`.

    Args:
        videos: VIDEOS; read only if `stream`.
        stream: feed the first epoch from the extraction of `videos`, else all from written faces.
        progress: actor for TrainingStatus and the counts of extracted videos.
        on_epoch: called on the driver's node with the metrics of every epoch.
        folder: of the run; default: the recipe's.
        record: of a search's trial, which shares the cluster with other trials: receives each epoch's
            model, and no model is written here.
        check_streamed: called in each worker after a streamed first epoch with the faces of all splits, which
            are stored by then; what it raises ends the training.

    Returns:
        The metrics of every epoch.

    Raises:
        ResourceError: the cluster is too small.
        ManifestError, RecipeError: as `require_trainable_classes`, or a sample is too small.
        RecipeError, ModelFileError: the network cannot be built, or its weights cannot be loaded.
        TrainingError: training failed after all restarts; the message names the cause.
    """
    from dfray.training.elastic import ElasticTrainer, FreeCPUs, LivingNodes

    folder = folder or RunFolder(recipe)
    workers = Workers.of(recipe, streaming=stream)
    config = worker_config(
        recipe,
        folder,
        streamed=videos if stream else None,
        check_streamed=check_streamed,
        progress=progress,
        record=record,
    )
    extract_on = recipe.cluster.extract_on if stream else None
    status: TrainingStatus = {"model": check_worker_config(config)}
    progress.note.remote(status)
    datasets = {}
    if stream:
        datasets["faces"] = _streamed_faces(recipe, videos, folder, workers.extract, progress)
    policy = LivingNodes if record is None else FreeCPUs
    trainer = ElasticTrainer(
        train_worker,
        train_loop_config={"config": config},
        datasets=datasets,
        policy=policy(workers.scaling_config(), progress, extract_on),
        run_config=_run_config(recipe, folder, on_epoch),
    )
    result = _fitted(trainer, progress, recipe.training.epochs)
    if record is None:
        write_best_model(result.best_checkpoints, config)
    return cast(History, result.return_value)


def _fitted(trainer: ElasticTrainer, progress: ActorHandle, epochs: int) -> ray.train.Result:
    """Return what the trainer made, or raise dfray's own errors."""
    import ray.train

    try:
        return trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise explain_failure(error, last_status(progress), epochs) from error
    except ray.exceptions.RayActorError as error:
        raise controller_died() from error


def _streamed_faces(
    recipe: Recipe, videos: pa.Table, folder: RunFolder, n_workers: int, progress: ActorHandle
) -> ray.data.Dataset:
    """Return the faces of the videos as they are extracted, with the quotas of the first epoch."""
    return extract_faces(
        with_stream_quotas(videos, recipe.faces, recipe.batches)[0],
        folder.faces,
        recipe.faces,
        emit="faces",
        workers=n_workers,
        on=recipe.cluster.extract_on,
        seed=recipe.seed,
        progress=progress,
    )


def write_best_model(
    checkpoints: Sequence[tuple[ray.train.Checkpoint, EpochMetrics]], config: WorkerConfig
) -> None:
    """Make the model of the best epoch's checkpoint, which holds what is trained, and store it whole."""
    best, _ = min(checkpoints, key=lambda entry: entry[1]["selection_loss"])
    learner = Learner(
        config.recipe,
        LabelScheme(config.recipe.batches.labels, config.class_names),
        resuming=True,
        faces_version=config.open_faces().version,
    )
    with best.as_directory() as path:
        learner.load(Path(path))
    store_bundle(learner.bundle(), config.folder.model)


def worker_config(
    recipe: Recipe,
    folder: RunFolder,
    *,
    streamed: pa.Table | None = None,
    check_streamed: CheckFaces | None = None,
    progress: ActorHandle | None = None,
    record: EpochRecord | None = None,
) -> WorkerConfig:
    """Return the input of every worker of a run.

    Args:
        streamed: VIDEOS whose extraction feeds the first epoch; None: all faces are written.
        check_streamed: as of `train_detector`.

    Raises:
        ManifestError, RecipeError, ModelFileError: as `train_detector`.
    """
    if record is not None and recipe.training.parallelism == "fsdp":
        raise RecipeError(
            "training.parallelism: fsdp shards the network, and a search keeps the whole one of each trial.",
            "Search with ddp, and train the winner with fsdp.",
        )
    videos = streamed
    if videos is None:
        faces = FacesView.of_manifest(folder.faces, folder.manifest)
        videos = faces.summaries(["train", "val"])
    classes = require_trainable_classes(recipe, videos)
    steps = None
    if streamed is not None:
        _, steps = with_stream_quotas(streamed, recipe.faces, recipe.batches)
    # The workers have another current directory.
    absolute = {"work_dir": folder.work_dir, "model": resolve(recipe.model)}
    return WorkerConfig(
        recipe=recipe.model_copy(update=absolute),
        class_names=tuple(classes.class_names),
        folder=folder,
        stream_steps=steps,
        check_streamed=check_streamed,
        progress=progress,
        record=record,
    )


def check_worker_config(config: WorkerConfig) -> list[str]:
    """Build the network and the samples once on the driver, before Ray would retry a worker's refusal.

    Returns:
        Lines about the model's start and its trained parameters.

    Raises:
        ManifestError, RecipeError, ModelFileError: as `train_detector`.
    """
    recipe, faces = config.recipe, config.open_faces()
    detector = build_detector(recipe.model, len(config.class_names))
    require_no_statistics(detector, recipe)
    lines = detector.description()
    if config.stream_steps is None:
        sample_faces(faces.summaries(["val"]), "val", recipe.batches)
        train = sample_faces(faces.summaries(["train"]), "train", recipe.batches)
        require_batch(train, recipe.batches)
    return lines


def _run_config(recipe: Recipe, folder: RunFolder, on_epoch: OnEpoch | None) -> ray.train.RunConfig:
    import ray.train

    class ReportEpoch(ray.train.UserCallback):
        def after_report(
            self, run_context: Any, metrics: list[EpochMetrics], checkpoint: Any
        ) -> None:
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
            # Ray's default is unlimited: with a store that stays full the controller would restart for ever.
            controller_failure_limit=failures,
        ),
        callbacks=[ReportEpoch()],
    )
