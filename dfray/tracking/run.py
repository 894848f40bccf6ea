"""One MLflow run for one training run: the recipe, where the code and data came from, every epoch.

A `Run` is a URI and an id, so it can be handed to another process; it opens its client when first used.
A training that is started again enters the same run; what was logged before is not logged twice.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dfray.config import Recipe
from dfray.errors import RegistryError, UserError
from dfray.nested import flatten
from dfray.text import tag
from dfray.tracking import artifacts, provenance
from dfray.tracking.abandoned import holder_tags
from dfray.tracking.client import artifact_root, connect, error_code, talking
from dfray.tracking.inputs import dataset_inputs

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import MlflowClient

_log = logging.getLogger(__name__)

_BATCH = 100  # params and tags that MLflow takes in one call
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which MLflow's page shows an experiment as one of model training, with charts of its runs."""


@dataclass
class Run:
    """An MLflow run that is being written. As a context it ends FINISHED, or FAILED on an error."""

    tracking_uri: str
    run_id: str
    _steps: dict[str, set[int]] = field(default_factory=dict, repr=False)

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.tracking_uri)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "client"}

    def log_metrics(
        self, metrics: Mapping[str, float | None], step: int, at_s: float | None = None
    ) -> None:
        """Log the values of one epoch in one call.

        None is left out, and so is what this run already has for `step`: an epoch that is trained again
        after a restart gives the same values.

        Args:
            at_s: when the epoch ended, in seconds since 1970; none: now.
        """
        from mlflow.entities import Metric

        at_ms = int((at_s or time.time()) * 1000)
        new = [
            Metric(name, float(value), at_ms, step)
            for name, value in metrics.items()
            if value is not None and step not in self._steps_of(name)
        ]
        if not new:
            return
        with talking(f"log metrics of run {self.run_id}"):
            self.client.log_batch(self.run_id, metrics=new)
        for metric in new:
            self._steps_of(metric.key).add(step)

    def log_latest(self, metrics: Mapping[str, float], section: str) -> None:
        """Log metrics that are no curve; a value that is the run's latest already is not logged again.

        Args:
            section: beginning of their names. What the run has there and `metrics` have not any more is NaN
                from now on: MLflow takes no metric back.
        """
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        with talking(f"log metrics of run {self.run_id}"):
            logged = self.client.get_run(self.run_id).data.metrics
            gone = {name: math.nan for name in logged if name.startswith(f"{section}/")}
            new = [
                Metric(name, float(value), now_ms, 0)  # of one step the latest time counts
                for name, value in (gone | dict(metrics)).items()
                if str(logged.get(name)) != str(float(value))  # NaN differs from itself
            ]
            for start in range(0, len(new), _BATCH):
                self.client.log_batch(self.run_id, metrics=new[start : start + _BATCH])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Say more about the run, such as `dfray.faces_fingerprint` once there is one."""
        from mlflow.entities import RunTag

        with talking(f"tag run {self.run_id}"):
            new = [RunTag(name, tag(value)) for name, value in tags.items()]
            self.client.log_batch(self.run_id, tags=new)

    def log_files(self, paths: Sequence[str | os.PathLike[str]], folder: str | None = None) -> None:
        """Keep local files with the run, under `folder`."""
        artifacts.log_files(self.client, self.run_id, paths, folder)

    def log_texts(self, texts: Mapping[str, str]) -> None:
        """Keep texts with the run, each as the file of its name."""
        artifacts.log_texts(self.client, self.run_id, texts)

    def tag(self, name: str, value: str) -> None:
        """Add a tag that was not known when the run began."""
        with talking(f"tag run {self.run_id}"):
            self.client.set_tag(self.run_id, name, tag(value))

    def experiment_id(self) -> str:
        """The id of the experiment that the run belongs to."""
        with talking(f"look at run {self.run_id}"):
            return str(self.client.get_run(self.run_id).info.experiment_id)

    def reopen(self, folder: str | None = None) -> None:
        """Set the status of a run that goes on to RUNNING.

        Args:
            folder: as in `start_run`.
        """
        if tags := _holder_tags(folder):
            self.set_tags(tags)  # first: by those of the process before the run is abandoned
        with talking(f"enter run {self.run_id}"):
            self.client.update_run(self.run_id, status="RUNNING")

    def finish(self, status: str = "FINISHED") -> None:
        with talking(f"end run {self.run_id}"):
            self.client.set_terminated(self.run_id, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
            return
        try:
            self.finish("KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED")
        except RegistryError as away:  # told beside what went wrong, not instead of it
            _log.warning("%s Run %s stays open there.", away, self.run_id)

    def _steps_of(self, name: str) -> set[int]:
        """The steps at which the run has the metric."""
        if name not in self._steps:
            with talking(f"read metrics of run {self.run_id}"):
                history = self.client.get_metric_history(self.run_id, name)
            self._steps[name] = {metric.step for metric in history}
        return self._steps[name]


def start_run(
    recipe: Recipe,
    tracking_uri: str,
    *,
    manifest_fingerprint: str,
    folder: str | None = None,
    run_id: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    videos: pa.Table | None = None,
) -> Run:
    """Begin a run in the recipe's experiment, or enter the run `run_id` again.

    Params are the flattened recipe ("training.lr"); tags name the recipe, the code and the manifest.
    The faces are known when they are all extracted: `Run.set_tags` names them then.

    Args:
        folder: whose lock this process holds while it writes to the run; None: if it is killed, the run stays
            open.
        name: of a new run; default: the recipe's.
        tags: more tags of a new run.
        videos: VIDEOS of the manifest, of which a new run's inputs are made.

    Raises:
        RegistryError: the tracking server does not answer, or has no such run.
        UserError: the run `run_id` was made with another recipe.
    """
    client = connect(tracking_uri)
    if run_id is not None:
        return _enter_again(client, tracking_uri, run_id, recipe, folder)
    run_tags = provenance.code_version() | {
        "mlflow.user": provenance.who(),
        "mlflow.source.name": provenance.command(),
        "mlflow.source.type": "JOB" if provenance.is_submitted() else "LOCAL",
        "dfray.recipe_fingerprint": recipe.fingerprint(),
        "dfray.manifest_fingerprint": manifest_fingerprint,
    }
    run_tags = {
        key: tag(value)
        for key, value in {**run_tags, **(tags or {}), **_holder_tags(folder)}.items()
    }
    experiment_id = open_experiment(client, tracking_uri, recipe.registry.experiment)
    with talking(f"begin a run in experiment {recipe.registry.experiment}"):
        from mlflow.entities import Param

        run = client.create_run(experiment_id, tags=run_tags, run_name=name or recipe.name)
        params = [
            Param(key, tag(str(value))) for key, value in flatten(recipe.model_dump(mode="json"))
        ]
        for start in range(0, len(params), _BATCH):
            client.log_batch(run.info.run_id, params=params[start : start + _BATCH])
        artifacts.log_texts(client, run.info.run_id, {"recipe.yaml": _yaml(recipe)})
        if videos is not None:
            client.log_inputs(run.info.run_id, dataset_inputs(videos))
        if recipe.description:
            client.set_tag(run.info.run_id, "mlflow.note.content", tag(recipe.description))
    return Run(tracking_uri, run.info.run_id)


def open_experiment(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """Return the id of an experiment, which is made if it is missing.

    Raises:
        UserError: it has been deleted.
        RegistryError: MLflow failed.
    """
    from mlflow.exceptions import MlflowException

    with talking(f"open experiment {name}"):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            try:
                location = artifact_root(tracking_uri)
                return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
            except MlflowException as error:
                if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = client.get_experiment_by_name(name)  # somebody else made it meanwhile
        if experiment.lifecycle_stage == "active":
            for key in _KIND.keys() - experiment.tags.keys():
                client.set_experiment_tag(experiment.experiment_id, key, _KIND[key])
            return str(experiment.experiment_id)
    raise UserError(
        f"The experiment {name!r} has been deleted on {tracking_uri}.",
        "Restore it in MLflow or name another in registry.experiment.",
    )


def _holder_tags(folder: str | None) -> dict[str, str]:
    return {} if folder is None else holder_tags(folder)


def _enter_again(
    client: MlflowClient, tracking_uri: str, run_id: str, recipe: Recipe, folder: str | None
) -> Run:
    with talking(f"enter run {run_id}"):
        run = client.get_run(run_id)
        made_with = run.data.tags.get("dfray.recipe_fingerprint")
        if made_with == recipe.fingerprint():
            again = Run(tracking_uri, run_id)
            again.reopen(folder)
            return again
    raise UserError(
        f"Run {run_id} was made with recipe {made_with}, not with {recipe.fingerprint()}.",
        "Go on with the recipe of that run, or begin a new run.",
    )


def _yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
