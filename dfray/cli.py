"""`dfray …`: every stage by name, with the same words here and on a cluster.

Commands read their arguments, call one function of `dfray.stages` and draw what it returns. Imports are
inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dfray.errors import DfrayError, UserError

if TYPE_CHECKING:
    from dfray.config import Recipe

app = typer.Typer(
    help="Distributed training of deepfake detectors on Ray: "
    "videos -> manifest -> faces -> training -> evaluation -> registry.\n\n"
    "Start with `dfray run demo`; then copy jobs/recipes/demo.yaml and name your own videos in it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
manifest_app = typer.Typer(no_args_is_help=True, help="One row a video: build it, check it.")
models_app = typer.Typer(no_args_is_help=True, help="The face models' files.")
app.add_typer(manifest_app, name="manifest")
app.add_typer(models_app, name="models")

RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or a name from `dfray recipes`.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Overrides, such as training.epochs=3."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show Ray's own output, and tracebacks of errors.")
]
PrintRecipe = Annotated[
    bool, typer.Option("--print-recipe", help="Print the resolved recipe and do nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main(*command: str) -> None:
    """Entry point: exit code 0, or 2 for a mistake in what was asked, or 1 for a failure.

    Args:
        command: what stands before the arguments of the command line, for the scripts in jobs/.
    """
    try:
        code = app([*command, *sys.argv[1:]], standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except DfrayError as error:
        _fail(error, error.exit_code)
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on from here.", file=sys.stderr)
        sys.exit(130)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        usage = getattr(error, "show", None)
        if callable(usage):  # click's own usage errors know how to show themselves
            usage()
            sys.exit(getattr(error, "exit_code", 2))
        from dfray.session import root_error

        cause = root_error(error)
        _fail(cause, getattr(cause, "exit_code", 1), error)


def _fail(error: BaseException, code: int, raised: BaseException | None = None) -> None:
    if {"--verbose", "-v"} & set(sys.argv):
        import traceback

        traceback.print_exception(raised or error)
    kind = "error" if isinstance(error, UserError) else "failed"
    told = str(error)
    if not isinstance(error, DfrayError):
        from dfray.session import first_line

        told = f"{first_line(error)} (--verbose shows the traceback)"
    print(f"dfray: {kind}: {told}", file=sys.stderr)
    sys.exit(code)


def _recipe(name: str, overrides: list[str] | None, print_only: bool) -> Recipe:
    from dfray.recipe import dump_recipe, load_recipe

    recipe = load_recipe(name, overrides)
    if print_only:
        print(dump_recipe(recipe), end="")
        raise typer.Exit
    return recipe


@app.command()
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """The whole road: clips or corpora to a promoted detector. Run again, it goes on where it was.

    Exit code 1 if the recipe's gates refuse the detector.
    """
    from dfray import render, stages

    result = stages.run(_recipe(recipe, overrides, print_recipe), verbose=verbose)
    render.run_result(result)
    if not result.decision.promoted:
        raise SystemExit(1)


@app.command()
def recipes() -> None:
    """List the recipes that come with dfray."""
    from dfray import render
    from dfray.recipe import load_recipe, named_recipes

    render.recipes([load_recipe(name) for name in named_recipes()])


@manifest_app.command("check")
def manifest_check(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    list_only: Annotated[
        bool, typer.Option("--list-only", help="Open no file; on s3 it takes three requests each.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Count videos by split and class, and against what is published of each corpus.

    Lists what is missing and, as it opens every file, what cannot be opened. Writes nothing.
    """
    from dfray import render, stages

    chosen = _recipe(recipe, overrides, print_recipe)
    render.manifest(stages.check_manifest(chosen, opened=0 if list_only else None))


@manifest_app.command("build")
def manifest_build(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Check the corpora and write the manifest of the run."""
    from dfray import render, stages

    chosen = _recipe(recipe, overrides, print_recipe)
    render.manifest(stages.build(chosen))


@app.command()
def extract(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Find and keep the faces of every video not yet done. Kill it and run it again at will."""
    from dfray import render, stages

    render.coverage(stages.extract(_recipe(recipe, overrides, print_recipe), verbose=verbose))


@app.command()
def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell the model, sample, memory and time; do not train."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Train on the faces (the first epoch from the running extraction, if the recipe says so)."""
    from dfray import render, stages

    chosen = _recipe(recipe, overrides, print_recipe)
    if dry_run:
        render.training_plan(stages.plan_training(chosen))
    else:
        render.history(stages.train(chosen, verbose=verbose))


@app.command("self-blend")
def self_blend(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Annotated[str, typer.Option(help="Where the PNG goes, local or s3://.")] = "sheet.png",
    faces: Annotated[int, typer.Option(min=1, help="How many faces it shows.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the faces and their blending.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Draw a contact sheet of self-blended faces: crop, real view, mask, fake."""
    from dfray import stages

    print(stages.self_blend(_recipe(recipe, overrides, False), out, count=faces, seed=seed))


@app.command()
def evaluate(
    recipe: RecipeName,
    overrides: Overrides = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Write a protocol's table: `paper`, or a YAML file of one's own."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="With --protocol: models:/NAME@ALIAS or models:/NAME/VERSION to set beside the "
            "run's own model; may be repeated."
        ),
    ] = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Score the held-out split, compute the metrics and write the report.

    With --protocol, measure the run's model and every --model by its scenarios instead, and write the
    table with the published rows beside it.
    """
    from dfray import render, stages
    from dfray.run_folder import RunFolder

    chosen = _recipe(recipe, overrides, print_recipe)
    if protocol is not None:
        page = stages.compare(chosen, protocol, model or [], verbose=verbose)
        print(f"Table: {page}")
        return
    if model:
        raise UserError("--model names models for a protocol's table.", "Add --protocol paper.")
    render.evaluation(stages.evaluate(chosen, verbose=verbose))
    print(f"Report: {RunFolder(chosen).report}")


@app.command()
def register(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Put the run's model into the registry, with the alias `candidate`."""
    from dfray import stages

    chosen = _recipe(recipe, overrides, print_recipe)
    print(f"Registered {chosen.registry.model_name} version {stages.register(chosen)}.")


@app.command()
def promote(
    recipe: RecipeName,
    overrides: Overrides = None,
    version: Annotated[str | None, typer.Option(help="Default: the alias `candidate`.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the gates, move nothing.")
    ] = False,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Make a version the champion if the recipe's gates hold; exit code 1 if they do not."""
    from dfray import render, stages

    chosen = _recipe(recipe, overrides, print_recipe)
    decision = stages.promote(chosen, version=version, dry_run=dry_run, verbose=verbose)
    render.decision(decision)
    if not decision.promoted and not dry_run:
        raise SystemExit(1)


@app.command()
def rollback(recipe: RecipeName, overrides: Overrides = None, verbose: Verbose = False) -> None:
    """Give the alias `champion` back to the version that had it before."""
    from dfray import render, stages

    render.decision(stages.rollback(_recipe(recipe, overrides, False)))


@app.command()
def history(
    recipe: RecipeName,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Every promotion, refusal and rollback of the recipe's model, oldest first."""
    from dfray import render, stages

    render.decisions(stages.history(_recipe(recipe, overrides, False)), as_json=as_json)


@app.command()
def score(
    files: Annotated[list[str], typer.Argument(help="Videos or pictures, local or s3://.")],
    model: Annotated[
        str | None,
        typer.Option(help="models:/NAME@ALIAS or models:/NAME/VERSION; default: the champion."),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="Default: MLFLOW_TRACKING_URI, or sqlite in ./runs/mlflow.db."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Score files with the champion: is it a deepfake? Exit code 1 if one could not be read."""
    from dfray import render, stages

    found = stages.score(files, model=model, tracking_uri=tracking_uri)
    render.scores(found, as_json=as_json)
    if any(one.outcome not in ("ok", "no_face") for one in found):
        raise SystemExit(1)


@models_app.command("fetch")
def models_fetch(verbose: Verbose = False) -> None:
    """Fetch the models of detector and landmarks through pip's index; done once, at set-up."""
    from dfray.faces.model_file import fetch_models

    for path in fetch_models():
        print(path)


@models_app.command("where")
def models_where(verbose: Verbose = False) -> None:
    """Print the path of each face model that is set up."""
    from dfray.faces.model_file import detector_model_path, landmark_model_path

    paths = {"full": detector_model_path("full"), "short": detector_model_path("short")}
    print(json.dumps(paths | {"landmarks": landmark_model_path()}, indent=2))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
