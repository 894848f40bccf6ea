"""MLflow runs that a killed process left open: the next command of their experiment ends them.

A run carries the record of the lock that its process holds, and the folder of that lock. A process that is
surely dead ended on this machine, or did not renew its lock.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dfray import storage
from dfray.errors import StorageError
from dfray.tracking.client import connect, talking

if TYPE_CHECKING:
    from mlflow import entities

_FOLDER, _HOLDER = "dfray.folder", "dfray.holder"


def holder_tags(folder: str) -> dict[str, str]:
    """Return the tags of a run whose process holds the lock of a folder; none if it holds none."""
    holder = storage.holder_of(folder)
    return {} if holder is None else {_FOLDER: folder, _HOLDER: holder.to_json().decode()}


def end_abandoned_runs(tracking_uri: str, experiment_name: str) -> None:
    """End the open runs of an experiment whose processes are surely dead, as KILLED.

    Raises:
        RegistryError: the tracking server does not answer.
    """
    client = connect(tracking_uri)
    with talking(f"look for abandoned runs in experiment {experiment_name}"):
        experiment = client.get_experiment_by_name(experiment_name)
        if experiment is None:
            return
        runs = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
        for run in filter(_is_abandoned, runs):
            client.set_terminated(run.info.run_id, "KILLED")


def _is_abandoned(run: entities.Run) -> bool:
    tags = run.data.tags
    holder = storage.Holder.from_json(tags.get(_HOLDER, "").encode())
    with suppress(StorageError):  # a folder that this process may not read
        return holder is not None and storage.is_surely_over(holder, tags[_FOLDER])
    return False
