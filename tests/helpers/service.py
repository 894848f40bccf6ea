"""A service on loopback with a registered model, in the test's process and on its Ray."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from dfray.config import ModelSection, RegistrySection
from dfray.registry.versions import CHAMPION, Versions
from dfray.service.detector import Detector
from dfray.service.front import Front
from dfray.service.run import answering, deployed
from dfray.service.settings import ServiceSettings
from dfray.serving.package import register
from dfray.tracking.run import start_run
from tests.helpers.tiny import FIGURES, RECIPE, save_bundle

TOKEN = "a token of the tests"


@dataclass
class Service:
    """A running service.

    Attributes:
        thread: that answers.
    """

    url: str
    front: Front
    thread: threading.Thread

    def post(self, path: str = "/score", **options: Any) -> requests.Response:
        return self.ask("POST", path, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def ask(
        self, method: str, path: str, *, token: str | None = TOKEN, **options: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=120, **options)

    def score(self, path: Path, name: str | None = None, **options: Any) -> requests.Response:
        """Send a file."""
        form = {"file": (name or path.name, path.read_bytes())}
        return self.post(files=form, **options)


@contextmanager
def service(
    tracking_uri: str, detector: type[Detector] = Detector, **settings: Any
) -> Iterator[Service]:
    """Serve on a free port of loopback, on the Ray that this process is connected to."""
    chosen = ServiceSettings(**{"token": TOKEN} | settings)
    with socket.create_server(("127.0.0.1", 0)) as sock, deployed(chosen, detector) as handle:
        front = Front(chosen, handle, tracking_uri)
        asyncio.run(front.champion.load())
        with answering(front, sock) as thread:
            yield Service(f"http://127.0.0.1:{sock.getsockname()[1]}", front, thread)


def register_tiny(
    folder: Path,
    tracking_uri: str,
    name: str,
    versions: int = 1,
    network: ModelSection | None = None,
) -> Versions:
    """Register versions of a tiny detector, which differ in size, or of `network`; the first is champion."""
    for number in range(versions):
        tiny = ModelSection(backbone="test_resnet", size_px=64 + 32 * number)
        recipe = RECIPE.model_copy(update={"model": network or tiny})
        bundle = save_bundle(folder / str(number), recipe)
        with start_run(RECIPE, tracking_uri, manifest_fingerprint="m") as run:
            register(
                bundle,
                section=RegistrySection(experiment="service tests", model_name=name),
                tracking_uri=tracking_uri,
                run_id=run.run_id,
                registration=str(number),
                metrics=FIGURES,
            )
    made = Versions(name, tracking_uri)
    made.point(CHAMPION, made.numbers()[0])
    return made
