"""Evaluation: of the run's model, of several models by a protocol, or of scores in a file."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import RecipeCall, recipe_command
from dfray.cli.dry_run import CheckOnly, show_state
from dfray.errors import UserError

NamedScores = list[tuple[str, str | None]]
"""Files of scores, each with its name in the report if it is given."""

Protocol = Annotated[
    str | None,
    typer.Option(help="Write the table of a protocol: `paper`, or a YAML file."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        help="With --protocol: models:/NAME@ALIAS or models:/NAME/VERSION to compare with the "
        "run's own model; may be repeated."
    ),
]
Scores = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Measure these scores instead of a model, or with --protocol beside it: a .parquet, .csv or "
        ".jsonl file of `dfray score --out`, or of another detector with the columns `uri` and "
        "`fake_probability`. May be repeated with --protocol.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="With --scores: a list with the columns `uri` and `label` (real or fake), and optionally "
        "`dataset`, `method`, `category`, `split`. Default: the manifest of RECIPE.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--as", help="The detector's name in the report, one for each --scores."),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="With --scores: fake at or above it. Default: the threshold that the scores state, or 0.5.",
    ),
]
Folder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="With --scores: where to write figures and report. Default: beside the scores.",
    ),
]


@recipe_command(app, panel=PIPELINE, needs_recipe=False)
def evaluate(
    call: RecipeCall | None,
    protocol: Protocol = None,
    model: Models = None,
    scores: Scores = None,
    labels: Labels = None,
    name: Names = None,
    threshold: Threshold = None,
    to: Folder = None,
    dry_run: CheckOnly = False,
) -> None:
    """Score the held-out split, compute the metrics and write the report.

    With --protocol, measure the run's model, every --model and every --scores by its scenarios instead,
    and write the table with the published rows, paired differences and what each was trained on. With
    --scores alone, measure scores that are in a file: no model is needed, and with --labels no recipe.

    Example: dfray evaluate mine.yaml --protocol paper --model models:/deepfake-detector@champion

    Example: dfray evaluate --scores scores.parquet --labels labels.csv
    """
    given = _named_scores(scores or [], name or [])
    if given and protocol is None:
        if model or dry_run:
            raise UserError(
                "--scores measures a file, without a model.", "Leave out --model, --dry-run."
            )
        _evaluate_scores(call, given, labels, threshold, to)
        return
    if (labels, threshold, to) != (None,) * 3:
        raise UserError(
            "--labels, --threshold and --to are about scores in a file, without a protocol.",
            "Add --scores FILE. With --protocol, leave them out.",
        )
    if call is None:
        raise UserError(
            "There is nothing to evaluate.", "Name a recipe, or --scores FILE with --labels FILE."
        )
    if dry_run:
        show_state(call, "evaluate")
    elif protocol is not None:
        _compare(call, protocol, model or [], given)
    elif model:
        raise UserError("--model names models for a protocol's table.", "Add --protocol paper.")
    else:
        _evaluate_model(call)


def _evaluate_model(call: RecipeCall) -> None:
    from dfray import stages
    from dfray.render.evaluation import show_metrics

    show_metrics(stages.evaluate(call.run))
    print(f"Report: {call.run.folder.report}")


def _compare(call: RecipeCall, protocol: str, models: list[str], scores: NamedScores) -> None:
    from dfray import stages

    print(f"Table: {stages.compare_models(call.run, protocol, models, scores)}")


def _evaluate_scores(
    call: RecipeCall | None,
    given: NamedScores,
    labels: str | None,
    threshold: float | None,
    to: str | None,
) -> None:
    from dfray import stages
    from dfray.render.evaluation import show_metrics

    if len(given) > 1:
        raise UserError(
            f"--scores names {len(given)} files.",
            "Name one, or add --protocol for a table of several.",
        )
    ((scores, name),) = given
    run = None if call is None else call.run
    found = stages.evaluate_scores(scores, labels, run=run, name=name, threshold=threshold, to=to)
    show_metrics(found.metrics)
    print(f"Report: {found.report}")


def _named_scores(files: list[str], names: list[str]) -> NamedScores:
    """Return each file of scores with its name in the report, if it is given."""
    if names and len(names) != len(files):
        raise UserError(
            f"--as names {len(names)} detectors, and --scores {len(files)} files.",
            "Add --scores FILE for each name, or one name for each file.",
        )
    named: list[str | None] = [*names] if names else [None] * len(files)
    return list(zip(files, named, strict=True))
