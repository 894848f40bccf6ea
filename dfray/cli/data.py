"""Manifest, readers of corpora, and a contact sheet of self-blended faces."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import INSPECTION, AsJson, app
from dfray.cli.command import RecipeCall, command, recipe_command

manifest_app = typer.Typer(
    no_args_is_help=True, help="Check and build the manifest, which has one row per video."
)
app.add_typer(manifest_app, name="manifest", rich_help_panel=INSPECTION)


@recipe_command(manifest_app, "check")
def manifest_check(
    call: RecipeCall,
    list_only: Annotated[
        bool,
        typer.Option(
            "--list-only",
            help="Open no file but those of equal size; on s3:// opening takes three requests each.",
        ),
    ] = False,
) -> None:
    """Count the videos, compare with the published counts, and list all that `dfray run` would refuse.

    Lists files that are missing, cannot be opened, or have equal bytes. Writes nothing, and draws no clip of
    the demo. Exit code 2 if the run would be refused.

    Example: dfray manifest check mine.yaml --list-only
    """
    from functools import partial

    from dfray import checks, stages
    from dfray.audit.equal_files import equal_files
    from dfray.audit.people import shared_people
    from dfray.render.audit import show_equal_videos, show_people
    from dfray.render.data import show_manifest

    read = partial(stages.check_manifest, opened=0 if list_only else None)
    subject = checks.Subject(call.run, read)
    findings = checks.find_problems(subject, "run")
    if subject.videos is not None:
        show_manifest(subject.manifest)
        show_equal_videos(equal_files(subject.videos, call.recipe.faces.stall_limit_s))
        show_people(shared_people(subject.videos, call.recipe.corpora))
    checks.report(findings)


@recipe_command(manifest_app, "build")
def manifest_build(call: RecipeCall) -> None:
    """Check the corpora, and write the manifest of the run."""
    from dfray import stages
    from dfray.render.data import show_manifest

    show_manifest(stages.build_manifest(call.run))


@command(manifest_app, "readers")
def manifest_readers() -> None:
    """List the readers of corpora, with the files and folders that each expects under `corpora.root`."""
    from dfray.datasets.readers import READERS, reader
    from dfray.render.data import show_readers

    show_readers({name: reader(name) for name in READERS})


@recipe_command(app, panel=INSPECTION)
def audit(call: RecipeCall, as_json: AsJson = False) -> None:
    """Look for leaks between the splits and for shortcuts past the task, and write audit.json and audit.html.

    Equal files and faces, near-duplicates and shared people in training and in test; the AUC of metadata
    alone; the model's AUC within videos of like face size, length and quality. Parts that need what `extract`
    or `evaluate` store are not known before. Exit code 2 if a video is in training and in test.

    Example: dfray audit mine.yaml
    """
    from dfray import stages
    from dfray.render.audit import show_audit

    show_audit(stages.audit(call.run), call.run.folder.audit, as_json=as_json)


@recipe_command(app, "self-blend", panel=INSPECTION)
def self_blend(
    call: RecipeCall,
    out: Annotated[str, typer.Option(help="Path or s3:// URI of the PNG.")] = "sheet.png",
    faces: Annotated[int, typer.Option(min=1, help="Number of faces in the PNG.")] = 12,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of the faces and of their blending.")
    ] = 0,
) -> None:
    """Draw a contact sheet of self-blended faces: crop, real view, mask, fake."""
    from dfray import stages

    print(stages.self_blend(call.run, out, count=faces, seed=seed))
