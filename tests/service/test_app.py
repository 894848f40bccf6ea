"""The application as Ray Serve itself runs it, behind its proxy: what a RayService of KubeRay does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dfray.service.app import bound_application
from dfray.service.detector import APPLICATION
from dfray.service.settings import ServiceSettings
from tests.helpers.ports import free_port
from tests.helpers.service import TOKEN, register_tiny

pytestmark = [pytest.mark.usefixtures("ray_session"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def url(
    ray_session: None, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    from ray import serve

    register_tiny(tmp_path_factory.mktemp("application"), tracking_uri, "application")
    port = free_port()
    variables = {
        "DFRAY_SERVE_TOKEN": TOKEN,
        "DFRAY_SERVE_MODEL": "models:/application@champion",
        "MLFLOW_TRACKING_URI": tracking_uri,
    }
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    bound = bound_application(ServiceSettings(), variables)
    serve.run(bound, name=APPLICATION, route_prefix="/")
    yield f"http://127.0.0.1:{port}"
    serve.delete(APPLICATION)
    serve.shutdown()


def test_it_scores_behind_serve_s_proxy(url: str, clip: Path):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    files = {"file": ("clip.mp4", clip.read_bytes())}
    answer = requests.post(f"{url}/score", files=files, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"]["model"] == "application"
    kept = requests.get(f"{url}/result/{answer.json()['id']}", headers=headers, timeout=60)
    assert kept.json()["state"] == "done"


def test_it_asks_for_the_token(url: str):
    assert requests.get(f"{url}/metrics", timeout=60).status_code == 401


def test_its_health_knows_the_replicas(url: str):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.get(f"{url}/health", headers=headers, timeout=60).json()["replicas"] == 1
