"""Scores of files by a registered model."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import command

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Videos, pictures, folders of them, quoted patterns ('clips/**/*.mp4'), local or s3://; CSV "
        "or Parquet lists with a column `uri` or `video`; `-` for names on standard input, one a line.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="models:/NAME@ALIAS or models:/NAME/VERSION. Default: the champion."),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow's tracking URI. Default: MLFLOW_TRACKING_URI, or sqlite in ./runs/mlflow.db."
    ),
]
Frames = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write one row for each face: time, person, box, probability, size, sharpness and "
        "brightness. A .parquet, .csv or .jsonl file, local or s3://; with --out it is gone on with.",
    ),
]
Report = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write an HTML page: verdict and its meaning, probability over time, key frames with "
        "saliency maps, what could not be judged, limits and versions. Local or s3://. Inputs are scored "
        "one after the other; those that --out has are not on it.",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Keep the scores in this .parquet, .csv or .jsonl file, local or s3://. Started again, the "
        "command scores only what the file lacks.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes that score, one CPU each. Default: one for each free CPU, and none but this "
        "process for fewer than 8 inputs.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Score on this Ray cluster: the address of its GCS. Default: RAY_ADDRESS, or this machine.",
    ),
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print JSON lines: a row of all columns for each input.")
]


@command(app, panel=PIPELINE)
def score(
    files: Inputs,
    model: Model = None,
    tracking_uri: TrackingUri = None,
    frames: Frames = None,
    report: Report = None,
    out: Out = None,
    workers: Workers = None,
    address: Address = None,
    as_json: JsonLines = False,
) -> None:
    """Score files with the champion: the probability that each is a deepfake.

    Scores are printed as they come, one line each, with full paths. Exit code 0: all inputs were scored, or
    have no face, now or earlier in --out; 1: some could not be read, and their lines have the reason; 2: a
    mistake in the request.

    Example: dfray score clips s3://bucket/new/ 'more/*.mp4' --out scores.parquet
    """
    from dfray import stages
    from dfray.render.scores import show_kept, show_scores

    earlier = Counter[str]()
    scores = stages.score(
        files,
        model=model,
        tracking_uri=tracking_uri,
        frames=frames,
        report=report,
        out=out,
        workers=workers,
        address=address,
        earlier=earlier,
    )
    outcomes = show_scores(scores, as_json=as_json)
    if out is not None:
        show_kept(out, outcomes.total(), earlier)
    if set(outcomes + earlier) - {"ok", "no_face"}:
        raise SystemExit(1)
