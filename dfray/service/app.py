"""Application for Ray Serve's own ways to run one: a RayService of KubeRay, `serve run`, `serve deploy`.

    import_path: dfray.service.app:application

Its settings are the variables of the environment of Ray's pods. Clients talk to Serve's proxies, which hold
an upload in memory, up to twice its size in all, until the front has read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfray.config import RegistrySection
from dfray.errors import UserError
from dfray.service.detector import Detector, detector_application
from dfray.service.front import Front
from dfray.service.routes import make_app
from dfray.service.settings import ServiceSettings
from dfray.service.task import bounds_of
from dfray.tracking.client import resolve_tracking_uri

if TYPE_CHECKING:
    from fastapi import FastAPI


class Ingress:
    """Serve's ingress deployment: the front, in one replica, which keeps the results.

    Args:
        detector: handle of the replicas that score.

    Raises:
        UserError: the environment has no token, or no tracking server.
    """

    def __init__(self, detector: Any) -> None:
        self._detector, self._settings = detector, ServiceSettings.of()
        if self._settings.token is None:
            raise UserError("DFRAY_SERVE_TOKEN is not set.", "Put a token into the pods' secret.")
        section = RegistrySection(tracking_uri=self._settings.tracking_uri)
        self._tracking_uri = resolve_tracking_uri(section, "runs")

    def __serve_build_asgi_app__(self) -> FastAPI:
        return make_app(Front(self._settings, self._detector, self._tracking_uri))


def application(_: dict[str, str]) -> Any:
    """Return the bound application; of the arguments that Serve's configuration may give, none is read.

    Raises:
        UserError: a setting of the environment is none that it may have.
    """
    return bound_application(ServiceSettings.of())


def bound_application(settings: ServiceSettings, variables: dict[str, str] | None = None) -> Any:
    """Return the bound application.

    Args:
        variables: of the front's environment, besides those of its pod.
    """
    from ray import serve

    front = serve.deployment(
        serve.ingress()(Ingress),
        name="Front",
        num_replicas=1,
        max_ongoing_requests=1000,  # the front itself bounds what is open
        ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": variables or {}}},
    )
    return front.bind(detector_application(Detector, bounds_of(settings), settings.replicas))
