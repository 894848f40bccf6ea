"""Registered models: versions, champion, promotion history."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, SELECTION, AsJson, app
from dfray.cli.command import RecipeCall, recipe_command
from dfray.cli.dry_run import CheckOnly, show_state

registry_app = typer.Typer(
    help="Inspect the model registry: promotion history and registered versions.",
    no_args_is_help=True,
)
app.add_typer(registry_app, name="registry", rich_help_panel=SELECTION)


@recipe_command(app, panel=PIPELINE)
def register(call: RecipeCall, dry_run: CheckOnly = False) -> None:
    """Package the run's model with a model card and checksums, and give it the alias `candidate`."""
    from dfray import stages

    if dry_run:
        show_state(call, "register")
        return

    name, version = call.recipe.registry.model_name, stages.register(call.run)
    print(f"Registered {name} version {version}.")


@recipe_command(app, panel=SELECTION)
def promote(
    call: RecipeCall,
    version: Annotated[
        str | None,
        typer.Option(help="Number or alias of the version. Default: the alias `candidate`."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what is done and due, then the table of gates; change nothing. Exit code 2 and all "
            "reasons if it would be refused before that.",
        ),
    ] = False,
    over_lost_champion: Annotated[
        bool,
        typer.Option(
            "--over-lost-champion",
            help="The champion is deleted or damaged: promote without comparing with it.",
        ),
    ] = False,
) -> None:
    """Make a version the champion if the recipe's gates hold; exit code 1 if they do not.

    Both models are compared on the same videos. Refusals are recorded as promotions are: see
    `dfray registry history`.

    Example: dfray promote mine.yaml --version 3 --dry-run
    """
    from dfray import stages
    from dfray.render.registry import show_decision

    if dry_run:
        show_state(call, "promote")
    decision = stages.promote(
        call.run,
        version=version,
        dry_run=dry_run,
        over_lost_champion=over_lost_champion,
    )
    show_decision(decision)
    if not decision.promoted and not dry_run:
        raise SystemExit(1)


@recipe_command(app, panel=SELECTION)
def rollback(call: RecipeCall) -> None:
    """Undo the last promotion: the version with the alias `previous` becomes the champion again."""
    from dfray import stages
    from dfray.render.registry import show_decision

    show_decision(stages.rollback(call.run))


@recipe_command(registry_app)
def history(call: RecipeCall, as_json: AsJson = False) -> None:
    """List every promotion, refusal and rollback, oldest first: user, time, versions and reasons.

    With --json also all gates, the metrics of both models and the commit of the code.
    """
    from dfray import stages
    from dfray.render.registry import show_history

    show_history(stages.promotion_history(call.run), as_json=as_json)


@recipe_command(registry_app)
def show(
    call: RecipeCall,
    version: Annotated[
        str | None,
        typer.Option(
            help="Show this version in full: a number, `candidate`, `champion` or `previous`."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of the recipe's model: aliases, metrics, and the state of their files.

    With --version also the model card. Exit code 1 if a package that was checked is damaged.

    Example: dfray registry show mine.yaml --version champion
    """
    from dfray import stages
    from dfray.render.registry import show_versions

    versions = stages.registered_versions(call.run, version)
    show_versions(versions, in_full=version is not None, as_json=as_json)
    if any(view.damaged for view in versions):
        raise SystemExit(1)
