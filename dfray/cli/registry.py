"""Registered models: versions, champion, promotion history, and scores."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, SELECTION, AsJson, app
from dfray.cli.command import RecipeCall, command, recipe_command
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


@command(app, panel=PIPELINE)
def score(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Videos, pictures, folders of them, quoted patterns ('clips/**/*.mp4'), local or s3://; CSV "
            "or Parquet lists with a column `uri` or `video`; `-` for names on standard input, one a line.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="models:/NAME@ALIAS or models:/NAME/VERSION. Default: the champion."),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            help="MLflow's tracking URI. Default: MLFLOW_TRACKING_URI, or sqlite in ./runs/mlflow.db."
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write one row for each face: time, person, box, probability, size, sharpness and "
            "brightness. A name that ends with .csv, .jsonl or .parquet, local or s3://.",
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write an HTML page: verdict and its meaning, probability over time, key frames with "
            "saliency maps, what could not be judged, limits and versions. Local or s3://.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Keep the scores in this .parquet, .csv or .jsonl file, local or s3://. Started again, the "
            "command scores only what the file lacks.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that score, one CPU each. Default: one for each free CPU, and none but this "
            "process for fewer than 8 inputs.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Score on this Ray cluster: the address of its GCS. Default: RAY_ADDRESS, or this machine.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: a row of all columns for each input.")
    ] = False,
) -> None:
    """Score files with the champion: the probability that each is a deepfake.

    Scores are printed as they come, one line each, with full paths. Exit code 0: all inputs were scored, or
    have no face; 1: some could not be read, and their lines have the reason; 2: a mistake in the request.

    Example: dfray score clips s3://bucket/new/ 'more/*.mp4' --out scores.parquet
    """
    from dfray import stages
    from dfray.render.scores import show_kept, show_scores

    scores = stages.score(
        files,
        model=model,
        tracking_uri=tracking_uri,
        frames=frames,
        report=report,
        out=out,
        workers=workers,
        address=address,
    )
    outcomes = show_scores(scores, as_json=as_json)
    if out is not None:
        show_kept(out, outcomes.total())
    if set(outcomes) - {"ok", "no_face"}:
        raise SystemExit(1)
