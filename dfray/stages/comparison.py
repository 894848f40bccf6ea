"""A protocol's table for the run's model and any registered ones, on the run's faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfray import storage
from dfray.config import FacesSection, Recipe
from dfray.errors import UserError
from dfray.faces.shards import FacesStore
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import session
from dfray.stages.evaluation import decide, score_split, videos_of
from dfray.stages.training import tracking_uri

if TYPE_CHECKING:
    from dfray.evaluation.dataset_statistics import Collection
    from dfray.evaluation.protocol import Protocol
    from dfray.evaluation.protocol_table import Measured

_CUT = ("detector", "detector_model", "margin_ratio")
"""Settings of faces that a model must have been trained with to be compared on them."""


def compare(
    recipe: Recipe, protocol: str = "paper", models: Sequence[str] = (), *, verbose: bool = False
) -> str:
    """Measure models by a protocol and write its table as page, Markdown and CSV.

    Args:
        protocol: the name of one that comes with dfray, or a YAML file.
        models: models:/NAME@ALIAS or models:/NAME/VERSION, beside the run's own model if it has one.

    Returns:
        The URI of the page.

    Raises:
        UserError: no such protocol or model, no model at all, or one trained on faces cut otherwise; or
            the run was made with a recipe that differs in more than its evaluation.
    """
    from dfray.evaluation.protocol import load_protocol
    from dfray.evaluation.protocol_table import write_comparison

    folder, chosen = RunFolder(recipe), load_protocol(protocol)
    if not models:
        folder.require("model/bundle.json", "train")
    folder.claim_to_measure()
    uris = _model_uris(recipe, models)
    with session(recipe.cluster, verbose=verbose), stage("compare", len(uris)) as line:
        measured = []
        for done, (name, uri) in enumerate(uris.items()):
            line.update(done=done, detail=name)
            measured.append(_measure(recipe, chosen, name, uri))
        page = write_comparison(folder.evaluation, chosen, measured, _collections(recipe, chosen))
        line.finish(page)
    return page


def _model_uris(recipe: Recipe, models: Sequence[str]) -> dict[str, str]:
    """Name in the table -> where every node can read the bundle; the run's own model first."""
    from dfray.models.bundle import read_recipe
    from dfray.registry.champion import find_version
    from dfray.serving.package import downloaded_bundle

    folder, uris = RunFolder(recipe), {}
    if storage.exists(storage.join(folder.model, "bundle.json")):
        uris[recipe.name] = folder.model
    for model in dict.fromkeys(models):
        versions, version = find_version(model, tracking_uri(recipe))
        shared = storage.join(folder.root, "versions", versions.name, version)
        with downloaded_bundle(versions.name, version, tracking_uri(recipe)) as bundle:
            storage.put_folder(bundle, shared, last="bundle.json")
        uris[f"{read_recipe(shared)['name']} ({versions.name} version {version})"] = shared
    return uris


def _measure(recipe: Recipe, protocol: Protocol, name: str, bundle_uri: str) -> Measured:
    from dfray.evaluation.protocol import apply_protocol, method_figures
    from dfray.evaluation.protocol_table import Measured
    from dfray.models.bundle import read_decision_rule

    _require_same_faces(recipe.faces, name, bundle_uri)
    own = bundle_uri == RunFolder(recipe).model
    decision = decide(recipe, bundle_uri) if own else read_decision_rule(bundle_uri)
    split = recipe.evaluation.split
    scores = score_split(recipe, bundle_uri, split)
    videos = videos_of(recipe, scores, split, decision.video_rule)
    return Measured(
        name,
        decision.threshold,
        apply_protocol(protocol, videos, decision.threshold),
        method_figures(protocol, videos, decision.threshold),
        video_rule=decision.video_rule,
        note=_note_on_size(recipe.faces.size_px, bundle_uri),
    )


def _note_on_size(size_px: int, bundle_uri: str) -> str | None:
    """What a model's figures suffer from if the stored faces are not of the size of its input."""
    from dfray.models.bundle import read_recipe

    wanted = read_recipe(bundle_uri)["model"]["size_px"]
    if wanted == size_px:
        return None
    return (
        f"takes {wanted} px, and these faces are stored at {size_px} px: they were resized for it"
    )


def _require_same_faces(settings: FacesSection, name: str, bundle_uri: str) -> None:
    """Refuse a model that was trained on faces found or cut otherwise than these.

    Raises:
        UserError: with both values of each setting that differs.
    """
    from dfray.models.bundle import read_faces

    theirs = read_faces(bundle_uri)
    here = settings.model_dump(mode="json")
    told = [
        f"faces.{key} {theirs[key]!r} (here {here[key]!r})"
        for key in _CUT
        if key in theirs and theirs[key] != here[key]
    ]
    if told:
        raise UserError(
            f"{name} was trained on other faces than these: {', '.join(told)}.",
            "Compare it in a run whose faces are cut as its own.",
        )


def _collections(recipe: Recipe, protocol: Protocol) -> list[Collection]:
    from dfray.evaluation.dataset_statistics import describe_collections
    from dfray.faces.shards import read_boxes

    store, split = FacesStore(RunFolder(recipe).faces), recipe.evaluation.split
    names = [c.dataset for s in protocol.scenarios if s.collections for c in s.columns]
    summaries = store.summaries([split])
    if not set(names) & set(summaries["dataset"].to_pylist()):
        return []
    return describe_collections(names, summaries, store.outcomes(), read_boxes(store, split))
