"""Which cluster is meant, where it is not said."""

from __future__ import annotations

import os
from pathlib import Path

import dfray
from dfray.errors import UserError


def dashboard_address(given: str | None) -> str:
    """The dashboard that is meant: `given`, the environment's, or that of cluster/local.sh's cluster.

    Raises:
        UserError: there is none of them; how to name one is told.
    """
    named = given or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if not named:
        checkout = Path(dfray.__file__).resolve().parent.parent
        state = Path(os.environ.get("DFRAY_CLUSTER_DIR") or checkout / "runs" / ".cluster")
        if not (state / "jobs").is_file():
            raise UserError(
                "No cluster is named.",
                "Give --address http://HOST:8265, set RAY_API_SERVER_ADDRESS, or start one on this "
                "machine: cluster/local.sh up.",
            )
        named = (state / "jobs").read_text().strip()
        if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(state / "token")
    return (named if "://" in named else f"http://{named}").rstrip("/")
