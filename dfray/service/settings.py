"""Settings of a service: what it serves, what it opens, and its limits."""

from __future__ import annotations

import os
import secrets
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dfray import storage
from dfray.errors import UserError
from dfray.serving.admission import Admission

VARIABLES = {
    "model": "DFRAY_SERVE_MODEL",
    "tracking_uri": "MLFLOW_TRACKING_URI",
    "token": "DFRAY_SERVE_TOKEN",
    "replicas": "DFRAY_SERVE_REPLICAS",
    "allow": "DFRAY_SERVE_FROM",
    "max_mb": "DFRAY_SERVE_MAX_MB",
    "max_minutes": "DFRAY_SERVE_MAX_MINUTES",
    "queue": "DFRAY_SERVE_QUEUE",
    "timeout_s": "DFRAY_SERVE_LIMIT_S",
    "keep_minutes": "DFRAY_SERVE_KEEP_MINUTES",
}
"""Setting -> variable of the environment that gives it."""
SHORTEST_TOKEN = 16


class ServiceSettings(BaseModel):
    """Settings of a service; each is given, or else its variable of the environment, or else the default.

    Attributes:
        model: models:/NAME@ALIAS is followed, models:/NAME/VERSION stays; None: the only champion there is.
        tracking_uri: of MLflow.
        token: that clients show; None: none is asked for.
        replicas: processes that score.
        allow: folders and s3:// URIs below which files are opened that a request names.
        max_mb, max_minutes: size of a file, MiB, and length of a video.
        queue: requests at once, from the first byte of an upload to the score; more are refused.
        timeout_s: time for a request.
        keep_minutes: how long results are kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str | None = None
    tracking_uri: str | None = None
    token: str | None = Field(None, min_length=SHORTEST_TOKEN, repr=False)
    replicas: int = Field(1, ge=1)
    allow: tuple[str, ...] = ()
    max_mb: float = Field(512, gt=0)
    max_minutes: float = Field(30, gt=0)
    queue: int = Field(32, ge=1)
    timeout_s: float = Field(600, gt=0)
    keep_minutes: float = Field(15, gt=0)

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Return the settings that are given, those that are None by the environment.

        Raises:
            UserError: a value is none that it may have.
        """
        named = {key: os.environ[name] for key, name in VARIABLES.items() if os.environ.get(name)}
        values = named | {key: value for key, value in given.items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][0])
            shown = "" if key == "token" else f" {values.get(key)!r}"
            raise UserError(
                f"{key}{shown}: {first['msg']}.",
                f"Mend the option or {VARIABLES.get(key, 'the argument')}.",
            ) from error

    @field_validator("token", mode="before")
    @classmethod
    def _shown(cls, value: Any) -> Any:
        """Take off the line break with which a file of a secret often ends: no header can hold it."""
        return value.strip() if isinstance(value, str) else value

    @field_validator("token")
    @classmethod
    def _sendable(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise ValueError("use visible ASCII characters alone, as a header holds no others")
        return value

    @field_validator("allow", mode="before")
    @classmethod
    def _divided(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allow")
    @classmethod
    def _openable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in value:
            if not prefix.strip():
                raise ValueError("a prefix is empty, which would open the folder of the command")
            if storage.is_remote(prefix) and not prefix.startswith("s3://"):
                raise ValueError(f"{prefix} is neither a folder nor an s3:// URI")
        return value

    @property
    def admission(self) -> Admission:
        """Rule by which files are opened that a request names."""
        return Admission.below(self.allow)

    @property
    def max_bytes(self) -> int:
        return int(self.max_mb * 2**20)

    def with_token(self) -> Self:
        """Return the settings with a fresh token, if they have none."""
        return self if self.token else self.model_copy(update={"token": secrets.token_urlsafe(24)})
