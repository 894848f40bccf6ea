"""From a measured model to a champion, back again, and the scores it gives."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dfray import storage
from dfray.config import Recipe, RegistrySection
from dfray.errors import UserError
from dfray.progress import stage
from dfray.run_folder import RunFolder
from dfray.session import session
from dfray.stages.data import manifest_of
from dfray.stages.evaluation import evaluation_set, figures_of, score_split, videos_of
from dfray.stages.learning import tracking_run, tracking_uri

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Metrics
    from dfray.registry.gates import Figures
    from dfray.registry.history import Decision
    from dfray.registry.score import FileScore


def register(recipe: Recipe) -> str:
    """Put the run's model into the registry as `candidate`, once for each decision; returns its version.

    Raises:
        UserError: the run was made with another recipe, or not yet evaluated as this one wants.
    """
    folder = RunFolder(recipe)
    folder.require("evaluation/metrics.json", "evaluate")
    begun = folder.claim_to_measure()
    from dfray.evaluation.metrics import Metrics
    from dfray.registry.package import register as package

    decision = _measured_decision(recipe)
    state = folder.state()
    if state.get("registered") == decision:
        return state["version"]
    metrics = Metrics.model_validate_json(storage.read_bytes(folder.metrics))
    tracked = tracking_run(begun, manifest_of(begun))
    with stage("register") as line:
        with (
            storage.local_copy(folder.report) as report,
            storage.local_copy(folder.metrics) as kept,
        ):
            tracked.log_files([report, kept], "evaluation")
        with storage.local_folder(folder.model) as bundle:
            version = package(
                bundle,
                section=recipe.registry,
                tracking_uri=tracked.tracking_uri,
                run_id=tracked.run_id,
                figures=gate_figures(recipe, metrics),
            )
        tracked.finish()
        line.finish(f"{recipe.registry.model_name} version {version}")
    folder.remember(version=str(version), registered=decision)
    return str(version)


def promote(
    recipe: Recipe, *, version: str | None = None, dry_run: bool = False, verbose: bool = False
) -> Decision:
    """Move the alias `champion` to `version` (default: `candidate`) if the recipe's gates hold."""
    from dfray.registry.promote import promote as decide

    with stage("promote") as line:
        decision = decide(
            recipe.registry,
            tracking_uri(recipe),
            version,
            evaluate=lambda which: _figures_of_version(recipe, which, verbose),
            dry_run=dry_run,
        )
        line.finish("promoted" if decision.promoted else "refused")
    return decision


def rollback(recipe: Recipe) -> Decision:
    """Undo the last promotion of the recipe's model."""
    from dfray.registry.promote import rollback as undo

    return undo(recipe.registry, tracking_uri(recipe))


def history(recipe: Recipe) -> list[Decision]:
    """Every promotion, refusal and rollback of the recipe's model, oldest first."""
    from dfray.registry.promote import history as read

    return read(recipe.registry, tracking_uri(recipe))


def score(
    files: list[str], *, model: str | None = None, tracking_uri: str | None = None
) -> list[FileScore]:
    """Score videos and pictures with a registered model, by default the only champion there is."""
    from dfray.registry.connection import resolve_tracking_uri
    from dfray.registry.score import score_files

    section = RegistrySection(tracking_uri=tracking_uri)
    return score_files(files, model_uri=model, tracking_uri=resolve_tracking_uri(section, "runs"))


def _measured_decision(recipe: Recipe) -> dict[str, Any]:
    """The decision that the run's model was measured with, if it still has it and the recipe wants it.

    Raises:
        UserError: the figures there are of another decision.
    """
    from dfray.models.bundle import read_decision

    folder = RunFolder(recipe)
    decision = read_decision(folder.model)
    wish, measured = recipe.evaluation.wish, folder.state().get("measured")
    if decision.wish != wish or measured != asdict(decision):
        raise UserError(
            f"{folder.model} was not yet evaluated for {wish}: its figures are of {measured}.",
            "Run `dfray evaluate` with this recipe first.",
        )
    return measured


def gate_figures(recipe: Recipe, metrics: Metrics) -> Figures:
    """What the gates and the registry read of the figures."""
    from dfray.registry.gates import Figures

    overall = metrics.overall
    return Figures(
        auc=overall.video.auc.value if overall.video.auc else None,
        balanced_accuracy=(
            overall.video.balanced_accuracy.value if overall.video.balanced_accuracy else None
        ),
        coverage=overall.counts.coverage or 0.0,
        n_videos=overall.counts.scored,
        evaluation_set=evaluation_set(metrics, RunFolder(recipe)),
    )


def _figures_of_version(recipe: Recipe, version: str, verbose: bool) -> Figures:
    """Score a registered version on the run's held-out split, now, by its own decision."""
    from dfray.models.bundle import read_decision
    from dfray.registry.package import downloaded_bundle

    folder, split = RunFolder(recipe), recipe.evaluation.split
    name = recipe.registry.model_name
    shared = storage.join(folder.root, "versions", name, version)  # where every node can read it
    with downloaded_bundle(name, version, tracking_uri(recipe)) as bundle:
        storage.put_folder(bundle, shared, last="bundle.json")
    with session(recipe.cluster, verbose=verbose):
        scores = score_split(recipe, shared, split)
    by_video = videos_of(recipe, scores, split, read_decision(shared).video_rule)
    return gate_figures(recipe, figures_of(recipe, scores, by_video, shared))
