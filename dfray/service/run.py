"""Run of a service by one command: its Ray, its replicas, and the front in this process.

Clients talk to this process, not to Serve's proxy: that one takes a body as fast as it comes and keeps it
until the application has read it, twice its size in all (Ray 2.60). Here a client waits while its pieces are
stored.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfray.config import ClusterSection
from dfray.errors import ClusterError, UserError, explain
from dfray.service.settings import ServiceSettings

if TYPE_CHECKING:
    import uvicorn

    from dfray.service.detector import Detector
    from dfray.service.front import Front

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_WAITING = 128
_END_S = 10


@dataclass(frozen=True)
class Address:
    """Where a service listens; port 0: any that is free."""

    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK


@dataclass(frozen=True)
class Started:
    """What a service tells when it takes requests: its URL, and the model."""

    url: str
    model: str


def require_serve() -> None:
    """Check that Ray Serve is installed.

    Raises:
        UserError: it is not.
    """
    try:
        import ray.serve as _  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"Ray Serve is not installed: {error}.", "Install it: pip install 'dfray[serve]'."
        ) from error


def run_service(
    settings: ServiceSettings,
    tracking_uri: str,
    address: Address,
    on_start: Callable[[Started], None],
    cluster_address: str | None = None,
    verbose: bool = False,
) -> None:
    """Serve until this process is interrupted.

    Args:
        on_start: is told where, once requests are taken.
        cluster_address: of a running Ray cluster for the replicas; None: as of `dfray.session`.

    Raises:
        UserError: the address cannot be listened on; or as `opened_model`.
        RegistryError, ModelFileError: the model cannot be loaded.
        ClusterError, LocalRayError: as `dfray.session.session`.
    """
    require_serve()
    from dfray.service.front import Front
    from dfray.session import session

    with closing(_listening(address)) as sock:
        n_cpus = max(settings.replicas, os.cpu_count() or 1)
        cluster = ClusterSection(address=cluster_address, num_cpus=n_cpus)
        with session(cluster, verbose=verbose), deployed(settings) as detector:
            front = Front(settings, detector, tracking_uri)
            asyncio.run(front.champion.load())
            with answering(front, sock) as thread:
                port = sock.getsockname()[1]
                host = f"[{address.host}]" if ":" in address.host else address.host
                on_start(
                    Started(f"http://{host}:{port}", str(front.champion.require().model.model))
                )
                while thread.is_alive():
                    thread.join(1)  # a wait without end would keep signals from Python


@contextmanager
def deployed(settings: ServiceSettings, detector: type[Detector] | None = None) -> Iterator[Any]:
    """Yield the handle of the replicas, which end with the block; Serve's proxies are not started.

    Args:
        detector: class of the replicas; none: `Detector`.

    Raises:
        ClusterError: they do not start, or the cluster has a service.
    """
    from ray import serve

    from dfray.service.detector import APPLICATION, Detector, detector_application
    from dfray.service.task import bounds_of

    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # it tells each step, and each retry
    serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
    if APPLICATION in serve.status().applications:
        raise ClusterError(
            f"The cluster has an application {APPLICATION!r} of Ray Serve: a service runs on it.",
            "End that one first, or choose another cluster with --address.",
        )
    try:
        application = detector_application(
            detector or Detector, bounds_of(settings), settings.replicas
        )
        yield _started(application)
    finally:
        serve.delete(APPLICATION)
        if not serve.status().applications:
            serve.shutdown()


def _started(application: Any) -> Any:
    """Start the replicas, and return their handle.

    Raises:
        ClusterError: they do not start.
    """
    from ray import serve

    from dfray.service.detector import APPLICATION

    try:
        return serve.run(application, name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        hint = "Run with --verbose, and look at Ray's dashboard."
        raise explain(error, ClusterError, "The replicas do not start", hint) from error


@contextmanager
def answering(front: Front, sock: socket.socket) -> Iterator[threading.Thread]:
    """Answer requests that come to a socket in a thread for as long as the block lasts."""
    import uvicorn

    from dfray.service.routes import make_app

    config = uvicorn.Config(
        make_app(front),
        log_config=None,
        access_log=False,
        log_level="error",  # below it, strangers write the log: a line for each request that is no HTTP
        server_header=False,
        timeout_graceful_shutdown=_END_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [sock]}, name="dfray-serve", daemon=True
    )
    thread.start()
    try:
        _await_start(server, thread)
        yield thread
    finally:
        server.should_exit = True
        thread.join(_END_S + 5)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    while not server.started and thread.is_alive():
        thread.join(0.05)


def _listening(address: Address) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: the address is not this machine's, or its port is in use.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(_WAITING)
    except OSError as error:
        sock.close()
        raise UserError(
            f"Nothing can listen on {address.host}:{address.port}: {error.strerror or error}.",
            "Name a free port with --port, 0 for any, and an address of this machine with --host.",
        ) from error
    return sock
