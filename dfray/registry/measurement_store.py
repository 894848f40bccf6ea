"""Storage of measurements with a registered version, one for each evaluation set.

Metrics are tags of the version: `dfray.figures.<evaluation set>` holds JSON, `dfray.evaluation_set` the
latest set. The scores of every video, which a comparison needs, are files of the run that made the version:
`scores/<model>-<version>/<evaluation set>.parquet`, with safe names. They are written before the tags, so
metrics in tags have scores; a measurement without scores, or with unreadable ones, is made again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dfray import storage
from dfray.errors import SchemaError
from dfray.registry.measurements import HeadlineMetrics, Measurement
from dfray.tracking.artifacts import artifact_name, log_files
from dfray.tracking.client import talking

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow.entities.model_registry import ModelVersion

    from dfray.registry.versions import Versions

_METRICS, _LATEST = "dfray.figures.", "dfray.evaluation_set"


def save_measurement(versions: Versions, version: str, measurement: Measurement) -> None:
    """Store metrics and scores with the version; an earlier measurement on the same set is replaced."""
    save_scores(versions, version, measurement.metrics.evaluation_set, measurement.scores)
    with talking(f"store the metrics of version {version} of {versions.name}"):
        for key, value in metric_tags(measurement.metrics).items():
            versions.client.set_model_version_tag(versions.name, version, key, value)


def load_measurement(
    versions: Versions, version: str, evaluation_set: str | None = None
) -> Measurement | None:
    """Return the measurement on `evaluation_set`, or on the latest set; None: not stored."""
    stored = versions.get(version)
    metrics = _metrics_on(stored, evaluation_set)
    if metrics is None:
        return None
    scores = _read_scores(versions, stored, metrics.evaluation_set)
    return Measurement(metrics, scores) if scores is not None else None


def load_headline_metrics(
    versions: Versions, version: str, evaluation_set: str | None = None
) -> HeadlineMetrics | None:
    """Return the metrics on `evaluation_set`, or on the latest set; None: not stored."""
    return _metrics_on(versions.get(version), evaluation_set)


def _metrics_on(stored: ModelVersion, evaluation_set: str | None) -> HeadlineMetrics | None:
    metrics_of_all = metrics_in_tags(stored)
    return next((m for m in metrics_of_all if evaluation_set in (None, m.evaluation_set)), None)


def metrics_in_tags(version: ModelVersion) -> list[HeadlineMetrics]:
    """Return all metrics among the tags of a version, those of the latest evaluation set first.

    Raises:
        RegistryError: a tag was edited to hold none.
    """
    stored = [
        HeadlineMetrics.from_json(value, f"Tag {key} of {version.name} version {version.version}")
        for key, value in version.tags.items()
        if key.startswith(_METRICS)
    ]
    return sorted(stored, key=lambda metrics: metrics.evaluation_set != version.tags.get(_LATEST))


def save_scores(versions: Versions, version: str, evaluation_set: str, scores: pa.Table) -> None:
    """Store STORED_SCORES as a file of the version's run."""
    from dfray.evaluation.paired import STORED_SCORES

    folder, name = _place(versions, version, evaluation_set)
    with storage.temporary_folder() as local:
        STORED_SCORES.write(scores, str(Path(local, name)))
        run_id = versions.get(version).run_id
        log_files(versions.client, str(run_id), [Path(local, name)], folder)


def metric_tags(metrics: HeadlineMetrics) -> dict[str, str]:
    """Return tags that store `metrics`: JSON to read back, and single values for MLflow's pages."""
    values = {
        "auc": metrics.auc,
        "balanced_accuracy": metrics.balanced_accuracy,
        "coverage": metrics.coverage,
        "mean_auc": metrics.mean_auc,
        "mean_balanced_accuracy": metrics.mean_balanced_accuracy,
    }
    return {
        _METRICS + metrics.evaluation_set: json.dumps(metrics.to_dict()),
        _LATEST: metrics.evaluation_set,
        "n_videos": str(metrics.n_videos),
        **{name: f"{value:.4f}" for name, value in values.items() if value is not None},
    }


def _read_scores(versions: Versions, stored: ModelVersion, evaluation_set: str) -> pa.Table | None:
    """Return STORED_SCORES of the version; None: missing or unreadable."""
    from dfray.evaluation.paired import STORED_SCORES

    version, run_id = str(stored.version), stored.run_id
    folder, name = _place(versions, version, evaluation_set)
    path = f"{folder}/{name}"
    with (
        storage.temporary_folder() as local,
        talking(f"read the scores of version {version} of {versions.name}"),
    ):
        paths = [file.path for file in versions.client.list_artifacts(run_id, folder)]
        if path not in paths:
            return None
        try:
            return STORED_SCORES.read(versions.client.download_artifacts(run_id, path, local))
        except SchemaError:
            return None


def _place(versions: Versions, version: str, evaluation_set: str) -> tuple[str, str]:
    """Return folder and file name of the scores among the artifacts of the run."""
    folder = artifact_name(f"{versions.name}-{version}")
    return f"scores/{folder}", artifact_name(f"{evaluation_set}.parquet")
