"""MLflow run of an imported detector, which no training of dfray made: one for each import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfray.nested import flatten
from dfray.text import tag
from dfray.tracking import provenance
from dfray.tracking.client import connect, talking
from dfray.tracking.run import Run, open_experiment

_KEY = "dfray.import"


def import_run(
    tracking_uri: str,
    experiment: str,
    *,
    key: str,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Run:
    """Begin the run of an import, or return the one that an import of the same key began.

    Args:
        key: of all that the imported model depends on.
        name: of a new run.
        params: nested; logged flattened, as those of a training are.
        tags: more tags of a new run.

    Raises:
        UserError: the experiment has been deleted.
        RegistryError: MLflow failed.
    """
    from mlflow.entities import Param

    client = connect(tracking_uri)
    experiment_id = open_experiment(client, tracking_uri, experiment)
    with talking(f"look for the import {key} in experiment {experiment}"):
        begun = client.search_runs([experiment_id], f"tags.`{_KEY}` = '{key}'", max_results=1)
    if begun:
        return Run(tracking_uri, begun[0].info.run_id)
    run_tags = provenance.code_version() | {
        "mlflow.user": provenance.who(),
        "mlflow.source.name": provenance.command(),
        "mlflow.source.type": "LOCAL",
        _KEY: key,
        **tags,
    }
    with talking(f"begin a run in experiment {experiment}"):
        tagged = {label: tag(value) for label, value in run_tags.items()}
        run = client.create_run(experiment_id, tags=tagged, run_name=name)
        logged = [Param(label, tag(str(value))) for label, value in flatten(dict(params))]
        client.log_batch(run.info.run_id, params=logged)
    return Run(tracking_uri, run.info.run_id)
