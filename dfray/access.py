"""Access to a running cluster: its address, its authentication token and its version of Ray.

Ray retries a dead address, or one that refuses its token, for minutes without a message. So a cluster is
checked first by one request with a timeout, and a fault is reported in one sentence.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import dfray
from dfray.errors import ClusterError, UserError
from dfray.resources import Node

_TIMEOUT_S = 5.0
_GIVE_TOKEN = (
    "Set RAY_AUTH_TOKEN to the cluster's token, or RAY_AUTH_TOKEN_PATH to its file "
    '(eval "$(cluster/local.sh env)" does, for a cluster of cluster/local.sh).'
)


def use_token(*, own: bool) -> None:
    """Turn token authentication on, unless the environment turns it off; Ray's processes inherit it.

    Args:
        own: this process starts the cluster: if there is no token, a new one is made for this process
            and its children only. Ray would write one into the home folder.

    Raises:
        ClusterError: `own`, and RAY_AUTH_TOKEN_PATH names a file that cannot be read.
    """
    before = dict(os.environ)
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    has_token = bool({"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys())
    if own and is_on():
        if has_token:
            authorization()
        else:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    if "ray._raylet" in sys.modules and os.environ != before:  # Ray read it on import
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


def is_on() -> bool:
    """Return whether token authentication is on."""
    return os.environ.get("RAY_AUTH_MODE", "token").lower() == "token"


def authorization() -> dict[str, str]:
    """Return the HTTP header with the token from Ray's own places, or an empty one without a token.

    Raises:
        ClusterError: RAY_AUTH_TOKEN_PATH names a file that cannot be read.
    """
    token = _token() if is_on() else None
    return {"authorization": f"Bearer {token}"} if token else {}


def require_gcs(address: str) -> None:
    """Check that a driver can connect to `address` (host:port of the cluster's GCS).

    Raises:
        ClusterError: nothing answers, the token is missing or wrong, or Ray is of another version.
    """
    from ray.core.generated import gcs_service_pb2

    answer = _ask_gcs(address, "CheckAlive", gcs_service_pb2.CheckAliveRequest())
    _require_protected(address)
    _require_same_version(address, answer.ray_version)


def gcs_nodes(address: str) -> list[Node]:
    """Return the living nodes of the cluster whose GCS is at `address`, without connecting a driver.

    Raises:
        ClusterError: nothing answers, or the token is missing or wrong.
    """
    from ray.core.generated import gcs_pb2, gcs_service_pb2

    answer = _ask_gcs(address, "GetAllNodeInfo", gcs_service_pb2.GetAllNodeInfoRequest())
    return [
        Node(dict(node.resources_total), dict(node.labels))
        for node in answer.node_info_list
        if node.state == gcs_pb2.GcsNodeInfo.ALIVE
    ]


def _ask_gcs(address: str, method: str, request: Any) -> Any:
    """Return the GCS's answer to one request.

    Raises:
        ClusterError: nothing answers, or the token is missing or wrong.
    """
    import grpc  # type: ignore[import-untyped]
    from ray.core.generated import gcs_service_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        gcs = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        try:
            return getattr(gcs, method)(
                request, timeout=_TIMEOUT_S, metadata=list(authorization().items())
            )
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise _refused(address) from error
            raise ClusterError(
                f"No Ray cluster answers at {address}: {error.details()}.",
                "Check cluster.address (host:port of the GCS, 6379 by default) and that the cluster "
                "is up, or leave it empty for a local one.",
            ) from error


def require_dashboard(url: str) -> None:
    """Check that jobs can be submitted to `url` (http://host:port of the cluster's dashboard).

    Raises:
        ClusterError: as `require_gcs`, or something else than a dashboard answers.
    """
    try:
        request = urllib.request.Request(f"{url}/api/version", headers=authorization())
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            version = json.load(answer)["ray_version"]
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise _refused(url) from error
        raise _no_dashboard(url, f"HTTP status {error.code}") from error
    except OSError as error:
        raise _no_dashboard(url, str(getattr(error, "reason", error))) from error
    except (http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise _no_dashboard(url, "something else than Ray answers there") from error
    _require_protected(url)
    _require_same_version(url, version)


def _token() -> str | None:
    """Return the token in Ray's own order: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token."""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(path) if path else Path.home() / ".ray" / "auth_token"
    try:
        return file.read_text().strip() or None
    except OSError as error:
        if path:
            raise ClusterError(
                f"RAY_AUTH_TOKEN_PATH cannot be read: {error}.",
                "Name the token's file, or, if its cluster is down, run: "
                "unset RAY_AUTH_TOKEN_PATH RAY_ADDRESS RAY_API_SERVER_ADDRESS",
            ) from error
        return None


def _refused(address: str) -> ClusterError:
    if not is_on():
        return ClusterError(
            f"The cluster at {address} asks for a token, and RAY_AUTH_MODE is "
            f"{os.environ['RAY_AUTH_MODE']} here.",
            f"Unset RAY_AUTH_MODE. {_GIVE_TOKEN}",
        )
    if _token() is None:
        return ClusterError(
            f"The cluster at {address} asks for a token, and there is none here.", _GIVE_TOKEN
        )
    return ClusterError(
        f"The cluster at {address} refuses the token that is set here.", _GIVE_TOKEN
    )


def _no_dashboard(url: str, reason: str) -> ClusterError:
    return ClusterError(
        f"No Ray cluster accepts jobs at {url}: {reason}.",
        "Give the address of its dashboard, such as http://HOST:8265, and check that it is up.",
    )


def _require_protected(address: str) -> None:
    """Check that a cluster which accepts requests without a token is configured to do so."""
    if is_on() and _token() is None:
        raise ClusterError(
            f"The cluster at {address} asks for no token: whoever reaches it can run code on it.",
            "Start it with RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled to use it as it is.",
        )


def _require_same_version(address: str, version: str) -> None:
    local = importlib.metadata.version("ray")
    if version != local:
        raise ClusterError(
            f"The cluster at {address} runs Ray {version}, and this environment has Ray {local}.",
            f"Install ray=={version} here, or start the cluster from an image with Ray {local}.",
        )


def dashboard_address(option: str | None) -> str:
    """Return the dashboard's URL: the option's, the environment's, or that of cluster/local.sh.

    Raises:
        UserError: none of them is set; the message says how to set one.
    """
    address = option or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if not address:
        checkout = Path(dfray.__file__).resolve().parent.parent
        state = Path(os.environ.get("DFRAY_CLUSTER_DIR") or checkout / "runs" / ".cluster")
        if not (state / "jobs").is_file():
            raise UserError(
                "No cluster is named.",
                "Give --address http://HOST:8265, set RAY_API_SERVER_ADDRESS, or start one on this "
                "machine: cluster/local.sh up.",
            )
        address = (state / "jobs").read_text().strip()
        if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(state / "token")
    return (address if "://" in address else f"http://{address}").rstrip("/")
