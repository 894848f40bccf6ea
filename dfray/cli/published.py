"""Published detectors: their list, and their import into the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import SELECTION, app
from dfray.cli.command import command
from dfray.cli.scoring import TrackingUri
from dfray.errors import UserError


@command(app, "import", panel=SELECTION)
def import_published(
    detector: Annotated[
        str, typer.Argument(metavar="[DETECTOR]", help="A name of `dfray import --list`.")
    ] = "",
    name: Annotated[
        str | None, typer.Option(help="Name of the registered model; made if it is missing.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The detector's file: a local path, s3:// or hf://owner/repo/path. Default: the published "
            "one, if it is on the Hugging Face hub.",
        ),
    ] = None,
    tracking_uri: TrackingUri = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the published detectors and exit.")
    ] = False,
) -> None:
    """Register a detector that others published, with its trained head, as the alias `candidate`.

    Every key of its file must fit. It is scored, compared, promoted and served as a model of your own;
    its threshold is 0.5, and its card states source, licence, training data and what differs in its faces.

    Example: dfray import fsvfm-l --name fsvfm --weights checkpoint-min_val_loss.pth
    """
    from dfray.render.published import show_detectors, show_imported

    if listed:
        from dfray.models.published import DETECTORS

        show_detectors(DETECTORS.values())
        return
    if not detector or name is None:
        raise UserError(
            f"{'--name' if detector else 'DETECTOR'} is missing.",
            "Write `dfray import DETECTOR --name NAME`; `dfray import --list` has the detectors.",
        )
    from dfray import stages

    imported = stages.import_detector(
        detector, name=name, weights=weights, tracking_uri=tracking_uri
    )
    show_imported(imported)
