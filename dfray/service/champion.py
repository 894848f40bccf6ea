"""The model that is served: a version of the registry, followed when its alias moves.

One light request every few seconds asks where the alias points. Another version is downloaded, its checksums
are compared, and a replica loads and checks it beside the old one; then one reference changes, which each
request reads once. A version that fails any of it is told, and the old one stays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dfray.errors import DfrayError, root_error
from dfray.evaluation.reference import Reference, read_reference
from dfray.models.bundle_description import decision_rule_of, read_description
from dfray.notes import note, warn
from dfray.registry.versions import CHAMPION, Versions
from dfray.service.refusal import Refusal
from dfray.service.task import ServedModel
from dfray.serving.score_files import opened_model
from dfray.serving.score_table import ScoringModel
from dfray.serving.score_worker import packed

EVERY_S, AGAIN_S = 3.0, 60.0
"""Time between two looks, and before a version that was refused is tried again."""
Check = Callable[[ServedModel], Awaitable[None]]
"""A function that has a replica load a model, and raises if it cannot."""


Pointed = tuple[int, str | None]
"""When the registered model was made, ms, and the version that its alias names: both tell a version."""


@dataclass(frozen=True)
class Serving:
    """What is served.

    Attributes:
        reference: validation in numbers; None: the bundle has none.
        pointed: where the alias pointed when it was loaded.
        since: ISO 8601, UTC.
    """

    model: ServedModel
    reference: Reference | None
    pointed: Pointed
    since: str


class Champion:
    """The served model, which follows the registry.

    Args:
        model_uri: as in `ServiceSettings`.
        check: has a replica load it.

    Attributes:
        current: what is served; None until `load` has returned.
        fault: why the registry's version is not served, or the registry cannot be asked; None: all is well.
    """

    def __init__(self, model_uri: str | None, tracking_uri: str, check: Check) -> None:
        self._uri, self._tracking_uri, self._check = model_uri, tracking_uri, check
        self._refused: tuple[Pointed, float] | None = None
        self.current: Serving | None = None
        self.fault: str | None = None

    def require(self) -> Serving:
        """Return what is served.

        Raises:
            Refusal: nothing yet: 503.
        """
        if self.current is None:
            raise Refusal(503, "No model is loaded yet.", {"Retry-After": "5"})
        return self.current

    async def load(self) -> None:
        """Find, check and serve the version that the registry names.

        Raises:
            DfrayError: there is none, it is damaged, or MLflow cannot be asked.
        """
        fetched = await asyncio.to_thread(_fetch, self._uri, self._tracking_uri)
        try:
            await self._check(fetched.model)
        except Exception as error:
            raise _unloadable(fetched.model.model, error) from error
        self.current, self.fault = fetched, None
        if self._uri is None:  # the model that was found stays the one
            self._uri = f"models:/{fetched.model.model.name}@{CHAMPION}"

    async def follow(self) -> None:
        """Follow the alias until this is cancelled; a URI with a number has none."""
        while "@" in (self._uri or "@"):
            try:
                await self._look()
            except DfrayError as error:
                self._tell(str(error))
            except Exception as error:  # whatever it was, the old model is served on
                self._tell(f"{type(error).__name__}: {error}")
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        if self.current is None:
            await self.load()
            return
        pointed = await asyncio.to_thread(_pointed, self.current, self._uri, self._tracking_uri)
        if pointed == self.current.pointed:
            self.fault = self._refused = None
            return
        now = time.monotonic()
        if self._refused and self._refused[0] == pointed and now < self._refused[1]:
            return
        self._refused = pointed, now + AGAIN_S
        await self.load()
        note(f"{self.require().model.model} is served from now on.")

    def _tell(self, fault: str) -> None:
        if fault != self.fault:
            served = f" {self.current.model.model} is served on." if self.current else ""
            warn(f"{fault}{served}")
        self.fault = fault


def _pointed(serving: Serving, uri: str | None, tracking_uri: str) -> Pointed:
    """Ask where the alias points, in one light request."""
    name, alias = serving.model.model.name, (uri or "").partition("@")[2]
    model = Versions(name, tracking_uri).model()
    version = {key: str(value) for key, value in model.aliases.items()}.get(alias)
    return int(model.creation_timestamp), version


def _fetch(uri: str | None, tracking_uri: str) -> Serving:
    """Download the version that the registry names, and compare its checksums."""
    import ray

    with opened_model(uri, tracking_uri) as folder:
        model = folder.model
        rule = decision_rule_of(read_description(folder.bundle))
        made_ms = int(Versions(model.name, tracking_uri).model().creation_timestamp)
        served = ServedModel(
            f"{model} {made_ms} {model.checksum}", model, ray.put(packed(folder.folder))
        )
        since = datetime.now(UTC).isoformat(timespec="seconds")
        reference = read_reference(folder.bundle, rule)
    return Serving(served, reference, (made_ms, model.version), since)


def _unloadable(model: ScoringModel, error: Exception) -> DfrayError:
    cause = root_error(error)
    reason = str(cause) if isinstance(cause, DfrayError) else f"{type(cause).__name__}: {cause}"
    return DfrayError(f"{model} cannot be served: {reason}")
