"""Registration of a measured model as a candidate version."""

from __future__ import annotations

from collections.abc import Iterator

from dfray import storage
from dfray.evaluation.measure import EvaluationResult
from dfray.evaluation.named_values import named_values
from dfray.evaluation.protocol import apply_protocol, load_protocol
from dfray.registry.measurements import Measurement
from dfray.run_context import RunContext
from dfray.serving.model_card import CardContext, protocol_table
from dfray.serving.package import register
from dfray.tracking.run import Run


def register_model(
    run: RunContext,
    bundle_uri: str,
    result: EvaluationResult,
    *,
    run_id: str,
    registration: str,
    metrics_table: str,
) -> str:
    """Package a measured model, register it as `candidate`, and return the version's number.

    Args:
        bundle_uri: the folder of the saved bundle, local or remote.
        result: its measurement on the run's evaluation set; kept with the version.
        run_id: the MLflow run that trained it.
        registration: as in `dfray.serving.package.register`.
        metrics_table: Markdown of its metrics, for the model card.

    Raises:
        ModelFileError: the bundle or the face detector's model file is missing or damaged.
        RegistryError: MLflow failed.
    """
    measured = Measurement.of(result)
    Run(run.tracking_uri, run_id).log_latest(named_values(result.metrics), result.metrics.split)
    tables = [metrics_table, *_protocol_tables(run, measured)]
    with storage.local_folder(bundle_uri) as bundle:
        return register(
            bundle,
            section=run.recipe.registry,
            tracking_uri=run.tracking_uri,
            run_id=run_id,
            registration=registration,
            metrics=measured.metrics,
            scores=measured.scores,
            context=CardContext.of(run.manifest, "\n\n".join(tables)),
        )


def _protocol_tables(run: RunContext, measured: Measurement) -> Iterator[str]:
    """Yield a Markdown table for each protocol of the recipe's evaluation and gates."""
    of_evaluation = run.recipe.evaluation.protocol
    named = [*filter(None, [of_evaluation]), *run.recipe.registry.gates.protocols]
    for name in dict.fromkeys(named):
        protocol = load_protocol(name)
        metrics = apply_protocol(protocol, measured.scores, measured.metrics.threshold)
        yield protocol_table(protocol, metrics)
