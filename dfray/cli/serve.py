"""The champion behind HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import command
from dfray.cli.scoring import Address as ClusterAddress
from dfray.cli.scoring import TrackingUri
from dfray.errors import UserError
from dfray.notes import note, warn

if TYPE_CHECKING:
    from dfray.service.run import Started
    from dfray.service.settings import ServiceSettings

Model = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="models:/NAME@ALIAS is followed when the alias moves, models:/NAME/VERSION stays. Default: the "
        "champion, if one model only has one (DFRAY_SERVE_MODEL).",
    ),
]
Host = Annotated[
    str, typer.Option(metavar="HOST", help="Address to listen on; 0.0.0.0: all of this machine.")
]
Port = Annotated[
    int, typer.Option(metavar="PORT", min=0, max=65535, help="Port to listen on; 0: any.")
]
Replicas = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Processes that score, one CPU each. Default: 1 (DFRAY_SERVE_REPLICAS).",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Open files below this folder or s3:// URI if a request names them; may be repeated. Default: "
        "none (DFRAY_SERVE_FROM).",
    ),
]
MaxMb = Annotated[
    float | None,
    typer.Option(metavar="MIB", help="Largest file, MiB. Default: 512 (DFRAY_SERVE_MAX_MB)."),
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", help="Longest video. Default: 30 (DFRAY_SERVE_MAX_MINUTES)."),
]
Queue = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Requests at once; more are refused. Default: 32 (DFRAY_SERVE_QUEUE)."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="Time for a request, seconds. Default: 600 (DFRAY_SERVE_LIMIT_S)."
    ),
]
Keep = Annotated[
    float | None,
    typer.Option(
        metavar="MINUTES", help="How long results are kept. Default: 15 (DFRAY_SERVE_KEEP_MINUTES)."
    ),
]
NoAuth = Annotated[bool, typer.Option("--no-auth", help="Ask no token of clients of this machine.")]
OpenToAll = Annotated[
    bool,
    typer.Option(
        "--open-to-all", help="With --no-auth: also if others than this machine can connect."
    ),
]


@command(app, panel=PIPELINE)
def serve(
    model: Model = None,
    tracking_uri: TrackingUri = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    replicas: Replicas = None,
    allow: Allow = None,
    max_mb: MaxMb = None,
    max_minutes: MaxMinutes = None,
    queue: Queue = None,
    timeout_s: Timeout = None,
    keep_minutes: Keep = None,
    address: ClusterAddress = None,
    no_auth: NoAuth = False,
    open_to_all: OpenToAll = False,
) -> None:
    """Serve the champion over HTTP: scores of files, a page to drop them on, health and metrics.

    Prints its URL and token; DFRAY_SERVE_TOKEN in the environment sets the token. When the champion moves,
    requests that come later get the new one. Ctrl-C ends it.

    Example: dfray serve --port 8000, then: curl -H "Authorization: Bearer $TOKEN" -F file=@clip.mp4
    http://127.0.0.1:8000/score
    """
    from dfray.config import RegistrySection
    from dfray.service.run import Address, run_service
    from dfray.service.settings import ServiceSettings
    from dfray.tracking.client import resolve_tracking_uri

    place = Address(host, port)
    if no_auth and not place.is_loopback and not open_to_all:
        raise UserError(
            f"--no-auth with --host {host}: whoever reaches this machine could send files.",
            "Leave --no-auth out, or add --open-to-all.",
        )
    settings = ServiceSettings.of(
        model=model,
        replicas=replicas,
        allow=allow or None,
        max_mb=max_mb,
        max_minutes=max_minutes,
        queue=queue,
        timeout_s=timeout_s,
        keep_minutes=keep_minutes,
    )
    settings = settings.model_copy(update={"token": None}) if no_auth else settings.with_token()
    uri = resolve_tracking_uri(RegistrySection(tracking_uri=tracking_uri), "runs")

    def tell(started: Started) -> None:
        _tell(started, settings, is_loopback=place.is_loopback)

    run_service(settings, uri, place, tell, address)


def _tell(started: Started, settings: ServiceSettings, *, is_loopback: bool) -> None:
    """Print where the service is, and how to use it."""
    token = settings.token
    print(f"Serving {started.model} on {started.url}", flush=True)
    if token is None:
        warn("No token is asked for: whoever can connect can send files.")
        print(f"Page:   {started.url}/", flush=True)
    else:
        print(f"Token:  {token}\nPage:   {started.url}/#token={token}", flush=True)
    if not is_loopback:
        warn("The connection is not encrypted: put a proxy with TLS in front of it.")
    note("Ctrl-C ends it.")
