"""Every decision about the champion, written down for good: who, when, what, why, on which figures.

A decision is a tag on the registered model, `dfray.decision.000001` and up, holding JSON. So the history
lies in the registry itself, needs no store of its own, and survives any alias that moves and any version
that is deleted. It is written before the alias moves: no move goes without a record.

Limits: it goes when the registered model is deleted; anyone who may write the registry may edit a tag; and
MLflow cannot write a tag only if it is new, so of two decisions in the same moment one overwrites the
other. The loser finds that out by reading back and raises, before it moves anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from dfray.errors import RegistryError
from dfray.registry.connection import talking
from dfray.registry.gates import Figures, GateResult
from dfray.registry.versions import Versions

_PREFIX = "dfray.decision."


@dataclass(frozen=True)
class Decision:
    """One promotion or rollback that was asked for, and what came of it.

    Attributes:
        action: what was asked for.
        promoted: whether `version` became the champion.
        version: the version that was to become the champion.
        champion_before: the champion at that time; None if there was none.
        reasons: why, one sentence each: all gates, or those that failed.
        candidate, champion: the figures compared; None where none were needed.
        who, when: the user's name; UTC, ISO 8601.
        sequence: number in the history, from 1; None for a dry run, which is not written down.
        undoes: of a rollback, the sequence of the promotion that it undoes.
    """

    action: Literal["promote", "rollback"]
    promoted: bool
    model_name: str
    version: str
    champion_before: str | None
    reasons: tuple[str, ...]
    who: str
    when: str
    gates: tuple[GateResult, ...] = ()
    candidate: Figures | None = None
    champion: Figures | None = None
    sequence: int | None = None
    undoes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        figures = {
            name: Figures.from_dict(values[name]) if values[name] else None
            for name in ("candidate", "champion")
        }
        gates = tuple(GateResult(**gate) for gate in values["gates"])
        return cls(**(values | figures | {"gates": gates, "reasons": tuple(values["reasons"])}))


def read_history(versions: Versions) -> list[Decision]:
    """All decisions about the model, the oldest first."""
    tags = versions.model().tags
    return [
        Decision.from_dict(json.loads(tags[key]))
        for key in sorted(key for key in tags if key.startswith(_PREFIX))
    ]


def write_down(versions: Versions, decision: Decision) -> Decision:
    """Append `decision` to the history; it is returned with its sequence number.

    Raises:
        RegistryError: another decision was written at the same moment.
    """
    past = read_history(versions)
    sequence = 1 + max((d.sequence for d in past if d.sequence), default=0)
    numbered = replace(decision, sequence=sequence)
    key = f"{_PREFIX}{sequence:06d}"
    with talking(f"write decision {sequence} on {versions.name}"):
        versions.client.set_registered_model_tag(versions.name, key, json.dumps(numbered.to_dict()))
        written = versions.client.get_registered_model(versions.name).tags.get(key, "null")
    if json.loads(written) != json.loads(json.dumps(numbered.to_dict())):
        raise RegistryError(
            f"Someone else decided about {versions.name} at the same time (decision {sequence}).",
            "Nothing was moved here; look at `dfray history` and try again.",
        )
    return numbered
