"""Table of a protocol for the run's model and registered models, on the run's faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dfray import storage
from dfray.config import FacesSection
from dfray.errors import UserError
from dfray.faces.version import version_note
from dfray.models.bundle_description import read_faces, read_faces_version, read_recipe
from dfray.progress import stage
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.evaluation.dataset_statistics import DatasetStatistics
    from dfray.evaluation.protocol import Protocol
    from dfray.evaluation.protocol_table import ProtocolResult

_CUT = ("detector", "detector_model", "margin_ratio", "align")
"""Settings of faces that a model must have been trained with to be compared on them."""


def compare_models(run: RunContext, protocol: str = "paper", models: Sequence[str] = ()) -> str:
    """Measure models by a protocol, write its table as page, Markdown and CSV, and return the page's URI.

    Args:
        protocol: the name of one that comes with dfray, or a YAML file.
        models: models:/NAME@ALIAS or models:/NAME/VERSION, besides the run's own model if it has one.

    Raises:
        UserError: no such protocol or model, no model at all, or one trained on faces cut otherwise; or
            the run was made with a recipe that differs in more than its evaluation.
    """
    from dfray.evaluation.protocol import load_protocol
    from dfray.evaluation.protocol_table import write_protocol_table

    columns = load_protocol(protocol)
    if not models:
        run.require_model()
    bundles = dict(_bundles(run, models))
    with run.session(), stage("compare", len(bundles)) as line:
        results = []
        for done, (name, uri) in enumerate(bundles.items()):
            line.update(done=done, detail=name)
            results.append(_measure(run, columns, name, uri))
        page = write_protocol_table(
            run.folder.evaluation, columns, results, _collections(run, columns)
        )
        line.finish(page)
    return page


def _bundles(run: RunContext, models: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name in the table and URI of each bundle, the run's own first; every node can read them."""
    from dfray.registry.champion import find_version
    from dfray.serving.package import downloaded_bundle

    if storage.exists(storage.join(run.folder.model, "bundle.json")):
        yield run.recipe.name, run.folder.model
    for model in dict.fromkeys(models):
        versions, version = find_version(model, run.tracking_uri)
        with downloaded_bundle(versions.name, version, run.tracking_uri) as bundle:
            uri = run.folder.share_version(versions.name, version, bundle)
        yield f"{read_recipe(uri)['name']} ({versions.name} version {version})", uri


def _measure(run: RunContext, protocol: Protocol, name: str, bundle_uri: str) -> ProtocolResult:
    """Return one model's row; the run's own model gets the decision rule that the recipe asks for."""
    from dfray.evaluation.measure import measure_model
    from dfray.evaluation.protocol import apply_protocol, method_metrics
    from dfray.evaluation.protocol_table import ProtocolResult

    _require_same_faces(run.recipe.faces, name, bundle_uri)
    fit = bundle_uri == run.folder.model
    result = measure_model(run.evaluation_set, bundle_uri, fit=fit, post_process=False)
    threshold = result.decision_rule.threshold
    return ProtocolResult(
        name,
        threshold,
        apply_protocol(protocol, result.video_scores, threshold),
        method_metrics(protocol, result.video_scores, threshold),
        video_rule=result.decision_rule.video_rule,
        note=_notes(run, bundle_uri),
    )


def _notes(run: RunContext, bundle_uri: str) -> str | None:
    """Return how the stored faces differ from those that the model learned from."""

    notes = (
        _size_note(run.recipe.faces.size_px, bundle_uri),
        version_note(read_faces_version(bundle_uri), run.faces.version),
    )
    return "; ".join(filter(None, notes)) or None


def _size_note(size_px: int, bundle_uri: str) -> str | None:
    """Return a note on a model whose input size differs from that of the stored faces."""

    input_px = read_recipe(bundle_uri)["model"]["size_px"]
    if input_px == size_px:
        return None
    return (
        f"takes {input_px} px, and these faces are stored at {size_px} px: they were resized for it"
    )


def _require_same_faces(settings: FacesSection, name: str, bundle_uri: str) -> None:
    """Check that a model was trained on faces detected and cut as these, raise if not.

    Raises:
        UserError: with both values of each setting that differs.
    """

    trained_on = {"align": "none"} | read_faces(bundle_uri)  # models from before it was a setting
    stored = settings.model_dump(mode="json")
    differences = [
        f"faces.{key} {trained_on[key]!r} (here {stored[key]!r})"
        for key in _CUT
        if key in trained_on and trained_on[key] != stored[key]
    ]
    if differences:
        raise UserError(
            f"{name} was trained on other faces than these: {', '.join(differences)}.",
            "Compare it in a run whose faces are cut as its own.",
        )


def _collections(run: RunContext, protocol: Protocol) -> list[DatasetStatistics]:
    """Return statistics of the protocol's datasets that the run has."""
    from dfray.evaluation.dataset_statistics import describe_datasets
    from dfray.faces.shards import read_boxes

    split = run.recipe.evaluation.split
    names = [c.dataset for s in protocol.scenarios if s.collections for c in s.columns]
    summaries = run.faces.summaries([split])
    if not set(names) & set(summaries["dataset"].to_pylist()):
        return []
    return describe_datasets(names, summaries, run.faces.outcomes(), read_boxes(run.faces, split))
