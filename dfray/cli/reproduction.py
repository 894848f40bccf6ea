"""A paper's table on the corpora that the user holds."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import Overrides, command, complete_installed


def complete_paper(incomplete: str) -> list[str]:
    """Return the installed papers whose names begin with `incomplete`."""
    return complete_installed("paper", incomplete)


Paper = Annotated[
    str,
    typer.Argument(
        metavar="PAPER",
        help="table3 (arXiv 2508.19730), clip (arXiv 2503.19683), or a YAML file like theirs.",
        autocompletion=complete_paper,
    ),
]
RootsFile = Annotated[
    str | None,
    typer.Option(
        help="YAML file: name of a corpus -> path or s3:// URI; those that it does not name are not held. "
        "Default: the roots of the recipes, as far as they are there."
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(help="Recipes of the rows to train, with commas or repeated; default: all."),
]
Corpora = Annotated[
    list[str] | None,
    typer.Option(help="Corpora to use, with commas or repeated; default: all that are held."),
]
PricedNodes = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="Nodes with their prices, as of `dfray plan`: for the estimate of --dry-run, and the money on "
        "the page.",
    ),
]


@command(app, panel=PIPELINE)
def reproduce(
    paper: Paper,
    overrides: Overrides = None,
    roots: RootsFile = None,
    rows: Rows = None,
    corpora: Corpora = None,
    nodes: PricedNodes = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder of the page; default: WORK_DIR/reproduce/PAPER."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what is done, due and impossible, the counts, and with --nodes hours, storage and "
            "money of what is due; do nothing.",
        ),
    ] = False,
    print_roots: Annotated[
        bool, typer.Option("--print-roots", help="Print a template of the roots file and exit.")
    ] = False,
) -> None:
    """Train and evaluate a paper's rows on the corpora held, and write ours beside the published figures.

    Each row is a run of its recipe; rows with the same faces share one extraction. Killed or stopped, the
    same command goes on; so does one with other rows or corpora. Columns of corpora that are not held stay
    empty. Exit code 1 if a row failed; the others are done all the same.

    Example: dfray reproduce table3 --print-roots > roots.yaml

    Example: dfray reproduce table3 --roots roots.yaml --rows fsfm,fsfm-ba work_dir=s3://mine/runs
    """
    from dfray import stages
    from dfray.render.reproduction import show_reproduction, show_reproduction_plan
    from dfray.reproduction.paper import load_paper
    from dfray.reproduction.roots import corpora_of, roots_template
    from dfray.reproduction.rows import Selection, load_recipes

    described = load_paper(paper)
    asked = Selection(roots, _split(rows), _split(corpora), tuple(overrides or ()))
    if print_roots:
        known = corpora_of(load_recipes(described, asked.overrides).values())
        print(roots_template(paper, known), end="")
    elif dry_run:
        show_reproduction_plan(stages.plan_reproduction(described, asked, nodes=nodes))
    else:
        words = shlex.join(["dfray", *sys.argv[1:]])
        result = stages.reproduce(described, asked, command=words, nodes=nodes, out=out)
        show_reproduction(result)
        if result.failed:
            raise SystemExit(1)


def _split(names: list[str] | None) -> tuple[str, ...]:
    """Return the names of an option that is repeated, or has them with commas."""
    return tuple(name.strip() for item in names or () for name in item.split(",") if name.strip())
