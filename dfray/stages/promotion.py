"""From a measured model to a champion, and back again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.config import Recipe
from dfray.datasets.manifest import read_manifest
from dfray.errors import UserError
from dfray.faces.shards import FacesStore
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import session
from dfray.stages.data import manifest_of
from dfray.stages.evaluation import evaluation_set, score_split, videos_of
from dfray.stages.training import tracking_run, tracking_uri
from dfray.tables import SCORES

if TYPE_CHECKING:
    from dfray.evaluation.robustness import Loss
    from dfray.models.bundle import DecisionRule
    from dfray.registry.history import Decision
    from dfray.registry.measurements import Measured
    from dfray.serving.model_card import Told


def register(recipe: Recipe) -> str:
    """Put the run's model into the registry as `candidate`, once for each decision; returns its version.

    Raises:
        UserError: the run was made with another recipe, or not yet evaluated as this one wants.
    """
    folder = RunFolder(recipe)
    folder.require("evaluation/metrics.json", "evaluate")
    begun = folder.claim_to_measure()
    from dfray.serving.package import register as package

    decision = _measured_decision(recipe)
    state = folder.state()
    if state.get("registered") == decision.stored():
        return state["version"]
    tracked = tracking_run(begun, manifest_of(begun))
    with stage("register") as line:
        with (
            storage.local_copy(folder.report) as report,
            storage.local_copy(folder.metrics) as kept,
        ):
            tracked.log_files([report, kept], "evaluation")
        measured = _measured_here(recipe, decision)
        with storage.local_folder(folder.model) as bundle:
            version = package(
                bundle,
                section=recipe.registry,
                tracking_uri=tracked.tracking_uri,
                run_id=tracked.run_id,
                figures=measured.figures,
                scores=measured.scores,
                told=told_of(recipe, measured, _table(folder)),
            )
        tracked.finish()
        line.finish(f"{recipe.registry.model_name} version {version}")
    folder.remember(version=str(version), registered=decision.stored())
    return str(version)


def promote(
    recipe: Recipe,
    *,
    version: str | None = None,
    dry_run: bool = False,
    over_lost_champion: bool = False,
    verbose: bool = False,
) -> Decision:
    """Move the alias `champion` to `version` (default: `candidate`) if the recipe's gates hold."""
    from dfray.registry.promote import promote as decide

    with stage("promote") as line:
        decision = decide(
            recipe.registry,
            tracking_uri(recipe),
            version,
            measure=partial(_measured_version, recipe, verbose=verbose),
            slowdown=_slowdown,
            dry_run=dry_run,
            over_lost_champion=over_lost_champion,
        )
        line.finish("promoted" if decision.promoted else "refused")
    return decision


def rollback(recipe: Recipe) -> Decision:
    """Undo the last promotion of the recipe's model."""
    from dfray.registry.promote import rollback as undo

    return undo(recipe.registry, tracking_uri(recipe))


def _measured_decision(recipe: Recipe) -> DecisionRule:
    """The decision that the run's model was measured with, if it still has it and the recipe wants it.

    Raises:
        UserError: the figures there are of another decision.
    """
    from dfray.models.bundle import read_decision_rule

    folder = RunFolder(recipe)
    decision = read_decision_rule(folder.model)
    criteria, measured = recipe.evaluation.decision_criteria, folder.state().get("measured")
    if decision.decision_criteria != criteria or measured != decision.stored():
        raise UserError(
            f"{folder.model} was not yet evaluated for {criteria}: its figures are of {measured}.",
            "Run `dfray evaluate` with this recipe first.",
        )
    return decision


def _measured_here(recipe: Recipe, decision: DecisionRule) -> Measured:
    """What `dfray evaluate` found of the run's own model."""
    from dfray.evaluation.summary import read_losses

    folder = RunFolder(recipe)
    losses = read_losses(folder.evaluation) if recipe.evaluation.post_processing else []
    return measured_of(recipe, SCORES.read(folder.scores), decision, losses)


def _measured_version(recipe: Recipe, version: str, bundle: Path, *, verbose: bool) -> Measured:
    """Score a registered version on the run's held-out split, now, by its own decision."""
    from dfray.evaluation.robustness import measure_losses
    from dfray.models.bundle import read_decision_rule

    folder, section = RunFolder(recipe), recipe.evaluation
    name = recipe.registry.model_name
    shared = storage.join(folder.root, "versions", name, version)  # where every node can read it
    storage.put_folder(str(bundle), shared, last="bundle.json")
    decision = read_decision_rule(shared)
    losses: list[Loss] = []
    with session(recipe.cluster, verbose=verbose):
        scores = score_split(recipe, shared, section.split)
        if section.post_processing and recipe.registry.gates.max_post_processing_drop is not None:
            videos = videos_of(recipe, scores, section.split, decision.video_rule)
            losses = measure_losses(folder.faces, shared, videos, section)
    return measured_of(recipe, scores, decision, losses)


def measured_of(
    recipe: Recipe, scores: pa.Table, decision: DecisionRule, losses: list[Loss]
) -> Measured:
    """Figures and kept scores from SCORES of the recipe's split."""
    from dfray.evaluation.paired import keep
    from dfray.registry.measurements import Measured, figures_of

    split = recipe.evaluation.split
    videos = videos_of(recipe, scores, split, decision.video_rule)
    figures = figures_of(
        videos,
        threshold=decision.threshold,
        evaluation_set=evaluation_set(recipe, decision.video_rule),
        losses=losses,
    )
    return Measured(figures, keep(videos, FacesStore(RunFolder(recipe).faces).summaries([split])))


def _slowdown(candidate: Path, champion: Path) -> float:
    from dfray.evaluation.inference_cost import slowdown

    return slowdown(str(candidate), str(champion))


def _table(folder: RunFolder) -> str:
    return storage.read_bytes(storage.join(folder.evaluation, "metrics.md")).decode()


def told_of(recipe: Recipe, measured: Measured, table: str) -> Told:
    """What the model card tells of the run: its corpora, and the figures by dataset and protocol.

    Args:
        table: Markdown, of the evaluation.
    """
    from dfray.evaluation.protocol import apply_protocol, load_protocol
    from dfray.serving.model_card import Told, protocol_table

    folder = RunFolder(recipe)
    tables = [table]
    for name in recipe.registry.gates.protocols:
        protocol = load_protocol(name)
        figures = apply_protocol(protocol, measured.scores, measured.figures.threshold)
        tables.append(protocol_table(protocol, figures))
    return Told.of(read_manifest(folder.manifest), "\n\n".join(tables))
