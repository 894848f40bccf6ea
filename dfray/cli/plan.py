"""What a recipe takes on a cluster, before there is one."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import CLUSTER, Overrides, RecipeName, Verbose, app, chosen_recipe


@app.command(rich_help_panel=CLUSTER)
def plan(
    recipe: RecipeName,
    nodes: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            help="COUNTxPART+PART@PRICE, several with commas; parts: 16cpu, 8h100 (or a100, l4, ... or "
            "gpu), 64gib; the price is a node's for an hour. Or a YAML file of the same.",
        ),
    ],
    overrides: Overrides = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            help="A manifest's URI, or `published`: as many videos as are published of the recipe's "
            "corpora. Default: the run's, or what it would be."
        ),
    ] = None,
    clips: Annotated[
        str | None,
        typer.Option(help="Measure on the videos of this folder instead of the manifest's."),
    ] = None,
    duration_s: Annotated[
        float | None,
        typer.Option(min=0.1, help="Length of the videos of corpora of which no length is known."),
    ] = None,
    images_per_s: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Images that one training worker (a GPU, if there are any) takes in a second, from a run of "
            "yours. Default: measured if the nodes' kind of device is here, else assumed.",
        ),
    ] = None,
    sample: Annotated[int, typer.Option(min=2, help="Videos to measure, at most.")] = 200,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to measure extraction, about.")
    ] = 40,
    verbose: Verbose = False,
) -> None:
    """Tell the hours, memory, storage and money that a recipe takes on a cluster.

    Measures here, for a minute: the extraction of a random sample of the manifest's own videos on one core,
    and a training step. Starts no Ray, writes nothing.

    dfray plan mine.yaml --nodes 8x16cpu@0.68,1x96cpu+8h100@55 training.num_workers=8

    dfray plan fsfm-ba --manifest published --clips my/clips --nodes nodes.yaml
    """
    from dfray import stages
    from dfray.render.plan import cluster_plan
    from dfray.run_context import RunContext

    cluster_plan(
        stages.plan_cluster(
            RunContext.of(chosen_recipe(recipe, overrides, False)),
            nodes,
            manifest=manifest,
            clips=clips,
            duration_s=duration_s,
            images_per_s=images_per_s,
            sample=sample,
            seconds=seconds,
        )
    )
