"""What a version was measured to do, kept with it for each evaluation set it was scored on.

Figures are tags on the version: `dfray.figures.<evaluation set>` holds JSON, `dfray.evaluation_set` the
latest. The scores of every video, which a comparison needs, are files of the run that made the version:
`scores/<model>-<version>/<evaluation set>.parquet`. They are written before the tags, so figures that
are there have scores; what was kept without, or cannot be read, is measured again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dfray.errors import SchemaError
from dfray.registry.measurements import HeadlineMetrics, Measurement
from dfray.tracking.client import talking

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.registry.versions import Versions

_FIGURES, _LATEST = "dfray.figures.", "dfray.evaluation_set"


def save_measurement(versions: Versions, version: str, measured: Measurement) -> None:
    """Keep figures and scores with the version, in place of what it had of the same set."""
    save_scores(versions, version, measured.metrics.evaluation_set, measured.scores)
    with talking(f"keep the figures of version {version} of {versions.name}"):
        for key, value in metric_tags(measured.metrics).items():
            versions.client.set_model_version_tag(versions.name, version, key, value)


def load_measurement(
    versions: Versions, version: str, evaluation_set: str | None = None
) -> Measurement | None:
    """What `version` did on `evaluation_set`, or on the one it was scored on last; None: not known."""
    figures = load_headline_metrics(versions, version, evaluation_set)
    if figures is None:
        return None
    scores = _read_scores(versions, version, figures.evaluation_set)
    return Measurement(figures, scores) if scores is not None else None


def load_headline_metrics(
    versions: Versions, version: str, evaluation_set: str | None = None
) -> HeadlineMetrics | None:
    """As `load_measurement`, the figures alone."""
    found = metrics_in_tags(versions.get(version).tags)
    wanted = (one for one in found if evaluation_set in (None, one.evaluation_set))
    return next(wanted, None)


def metrics_in_tags(tags: Mapping[str, str]) -> list[HeadlineMetrics]:
    """All figures among the tags of a version, those of the latest evaluation set first."""
    found = [
        HeadlineMetrics.from_dict(json.loads(value))
        for key, value in tags.items()
        if key.startswith(_FIGURES)
    ]
    return sorted(found, key=lambda figures: figures.evaluation_set != tags.get(_LATEST))


def save_scores(versions: Versions, version: str, evaluation_set: str, scores: pa.Table) -> None:
    """Keep STORED_SCORES as a file of the version's run."""
    from dfray.evaluation.paired import STORED_SCORES

    folder, name = _place(versions, version, evaluation_set)
    with tempfile.TemporaryDirectory(prefix="dfray-") as local:
        STORED_SCORES.write(scores, str(Path(local, name)))
        with talking(f"keep the scores of version {version} of {versions.name}"):
            run_id = versions.client.get_model_version(versions.name, version).run_id
            versions.client.log_artifact(run_id, str(Path(local, name)), folder)


def metric_tags(figures: HeadlineMetrics) -> dict[str, str]:
    """The tags of a version with `figures`: as JSON for us, flat for who reads MLflow's pages."""
    shown = {
        "auc": figures.auc,
        "balanced_accuracy": figures.balanced_accuracy,
        "coverage": figures.coverage,
    }
    return {
        _FIGURES + figures.evaluation_set: json.dumps(figures.to_dict()),
        _LATEST: figures.evaluation_set,
        "n_videos": str(figures.n_videos),
        **{name: f"{value:.4f}" for name, value in shown.items() if value is not None},
    }


def _read_scores(versions: Versions, version: str, evaluation_set: str) -> pa.Table | None:
    from dfray.evaluation.paired import STORED_SCORES

    folder, name = _place(versions, version, evaluation_set)
    run_id, path = versions.get(version).run_id, f"{folder}/{name}"
    with (
        tempfile.TemporaryDirectory(prefix="dfray-") as local,
        talking(f"read the scores of version {version} of {versions.name}"),
    ):
        there = [file.path for file in versions.client.list_artifacts(run_id, folder)]
        if path not in there:
            return None
        try:
            return STORED_SCORES.read(versions.client.download_artifacts(run_id, path, local))
        except SchemaError:
            return None


def _place(versions: Versions, version: str, evaluation_set: str) -> tuple[str, str]:
    return f"scores/{versions.name}-{version}", f"{evaluation_set}.parquet"
