"""Cost of a recipe on a cluster that need not exist."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import CLUSTER, app
from dfray.cli.command import RecipeCall, recipe_command

Nodes = Annotated[
    str,
    typer.Option(
        metavar="SPEC",
        help="COUNTxPART+PART@PRICE, several with commas; parts: 16cpu, 8h100 (or a100, l4, ... or "
        "gpu), 64gib; the price is per node and hour. Or a YAML file of the same.",
    ),
]
ManifestUri = Annotated[
    str | None,
    typer.Option(
        help="URI of a manifest, or `published`: as many videos as are published of the recipe's "
        "corpora. Default: the manifest of the run, built in memory if there is none."
    ),
]
Clips = Annotated[
    str | None,
    typer.Option(help="Measure on the videos of this folder instead of the manifest's."),
]
DurationS = Annotated[
    float | None,
    typer.Option(min=0.1, help="Length in seconds of videos whose corpus states none."),
]
ImagesPerS = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Images per second of one training worker (a GPU, if the nodes have any), from an "
        "earlier run. Default: measured if this machine has the nodes' kind of device, else assumed.",
    ),
]
Sample = Annotated[int, typer.Option(min=2, help="Number of videos to measure, at most.")]
Seconds = Annotated[
    float, typer.Option(min=1, help="Approximate seconds to spend on measuring extraction.")
]


@recipe_command(app, panel=CLUSTER)
def plan(
    call: RecipeCall,
    nodes: Nodes,
    manifest: ManifestUri = None,
    clips: Clips = None,
    duration_s: DurationS = None,
    images_per_s: ImagesPerS = None,
    sample: Sample = 200,
    seconds: Seconds = 40,
) -> None:
    """Estimate the hours, memory, storage and cost of a recipe on given nodes.

    Measures for about a minute on this machine: the extraction of a random sample of the manifest's videos
    on one core, and a training step. Starts no Ray, writes nothing.

    Example: dfray plan mine.yaml --nodes 8x16cpu@0.68,1x96cpu+8h100@55 training.num_workers=8

    Example: dfray plan fsfm-ba --manifest published --clips my/clips --nodes nodes.yaml
    """
    from dfray import stages
    from dfray.render.plan import show_cluster_plan

    show_cluster_plan(
        stages.plan_cluster(
            call.run,
            nodes,
            manifest=manifest,
            clips=clips,
            duration_s=duration_s,
            images_per_s=images_per_s,
            sample=sample,
            seconds=seconds,
        )
    )
