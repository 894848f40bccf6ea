"""MLflow runs of a search: a parent run, and a child for every trial with its curve, recipe and bundle.

A thread logs to MLflow, so that trials never wait for it. Logging a trial brings its run up to the trial's
folder and logs nothing twice: what failed is logged again at the end, and what a killed search had logged is
recognised by its tags.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dfray import storage
from dfray.errors import RegistryError
from dfray.evaluation.named_values import kept_values
from dfray.search.result import Trial
from dfray.search.trial import TrialSettings
from dfray.tracking.abandoned import end_abandoned_runs
from dfray.tracking.client import connect, talking
from dfray.tracking.curve import complete
from dfray.tracking.run import Run, start_run

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import entities

_SEARCH, _TRIAL, _STATE, _KIND = "dfray.search", "dfray.trial", "dfray.state", "dfray.kind"
_PARENT = "mlflow.parentRunId"
_FINAL = ("finished", "stopped")
"""States that a trial does not leave; a failed one may be tried again."""
_ENDED = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}


class SearchRuns:
    """The MLflow runs of one search. As a context it ends with everything logged and the parent ended.

    Args:
        search_id: identifies the search on the server.
        folder: whose lock the search holds.
        manifest_fingerprint: of the videos that all trials read.
        videos: these VIDEOS, the inputs of the parent's run.

    Raises:
        RegistryError: MLflow does not answer, at the start or at the end.
    """

    def __init__(
        self,
        settings: TrialSettings,
        tracking_uri: str,
        search_id: str,
        folder: str,
        manifest_fingerprint: str,
        videos: pa.Table | None = None,
    ) -> None:
        self.settings, self.tracking_uri, self.search_id = settings, tracking_uri, search_id
        self._folder, self._manifest, self._videos = folder, manifest_fingerprint, videos
        self._children: dict[str, Run] = {}
        self._logged_state: dict[str, str] = {}
        self._latest: dict[str, Trial] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dfray-mlflow")
        self._stopped = threading.Event()
        self.parent = self._enter()

    def notify(self, trial: Trial) -> None:
        """Log the trial's state to its run in the background; return at once."""
        self._latest[trial.id] = trial
        self._thread.submit(self._log_or_defer, trial.id)

    def tracked(self, trial: Trial) -> Trial:
        """Return the trial with the id of its run, once the notifications before have been logged."""
        self._latest[trial.id] = trial
        return replace(trial, run_id=self._thread.submit(self._child, trial).result().run_id)

    def origin(self, trial: Trial) -> dict[str, str]:
        """Return the tags of a registered model that this trial trained."""
        tags = {_SEARCH: self.search_id, _TRIAL: trial.id, "dfray.search_run": self.parent.run_id}
        return tags | {f"dfray.search.{key}": str(value) for key, value in trial.parameters.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stopped = kind is not None and not issubclass(kind, Exception)  # by a signal: at once
        if stopped:
            self._stopped.set()
        self._thread.shutdown(cancel_futures=stopped)
        if not stopped:
            with suppress(*([RegistryError] if kind else [])):  # the block's own error is raised
                self.settle()
        if kind is not None:
            with suppress(RegistryError):
                self._end_open_children("KILLED" if stopped else "FAILED")
        self.parent.__exit__(kind, error, trace)

    def settle(self) -> None:
        """Log again what failed before."""
        for trial in self._latest.values():
            self._log(trial)

    def _enter(self) -> Run:
        """Start or resume the parent's run, and read its children's states."""
        recipe, parent = self.settings.recipe, None
        end_abandoned_runs(self.tracking_uri, recipe.registry.experiment)
        for run in self._existing():
            name = run.data.tags.get(_TRIAL)
            if name is None:
                parent = run.info.run_id
            else:
                child = Run(self.tracking_uri, run.info.run_id)
                state = run.data.tags.get(_STATE, "")
                if state not in _FINAL:
                    child.reopen(self._folder)
                self._children[name], self._logged_state[name] = child, state
        return start_run(
            recipe,
            self.tracking_uri,
            manifest_fingerprint=self._manifest,
            folder=self._folder,
            run_id=parent,
            name=f"{recipe.name} search",
            tags={_SEARCH: self.search_id},
            videos=self._videos,
        )

    def _end_open_children(self, status: str) -> None:
        """End the runs of trials that have not ended; a resumed search opens them again."""
        for name, run in self._children.items():
            if self._logged_state.get(name) not in _ENDED:
                run.finish(status)

    def _existing(self) -> list[entities.Run]:
        client = connect(self.tracking_uri)
        with talking("look for the runs of this search"):
            experiment = client.get_experiment_by_name(self.settings.recipe.registry.experiment)
            if experiment is None:
                return []
            query = f"tags.`{_SEARCH}` = '{self.search_id}'"
            runs = client.search_runs([experiment.experiment_id], query, max_results=10_000)
        return list(runs)

    def _log_or_defer(self, name: str) -> None:
        try:
            self._log(self._latest[name])
        except RegistryError:
            return  # `settle` logs it again, and raises

    def _log(self, trial: Trial) -> None:
        run, state = self._child(trial), self._logged_state.get(trial.id)
        if state == trial.state and state in _FINAL:
            return
        complete(run, trial.curve, self._stopped)
        if trial.state in _ENDED and state != trial.state:
            self._log_model(run, trial)
            run.log_latest(kept_values(trial.curve), "kept")
            run.set_tags({"dfray.error": trial.error} if trial.error else {})
            run.finish(_ENDED[trial.state])
            run.set_tags({_STATE: trial.state})  # last: all before it is logged
            self._logged_state[trial.id] = trial.state

    def _log_model(self, run: Run, trial: Trial) -> None:
        model = self.settings.folder(trial.id).model
        if storage.exists(storage.join(model, "bundle.json")):
            with storage.local_folder(model) as folder:
                run.log_files([f"{folder}/{name}" for name in _names(folder)], "model")

    def _child(self, trial: Trial) -> Run:
        if trial.id not in self._children:
            self._children[trial.id] = start_run(
                self.settings.recipe_of(trial),
                self.tracking_uri,
                manifest_fingerprint=self._manifest,
                folder=self._folder,
                tags={
                    _PARENT: self.parent.run_id,
                    _SEARCH: self.search_id,
                    _TRIAL: trial.id,
                    _KIND: trial.kind,
                },
            )
        return self._children[trial.id]


def _names(folder: str) -> list[str]:
    return [uri.rpartition("/")[2] for uri in storage.list_files(folder)]
