"""Base of a recipe's sections, and the kinds of numbers in them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Unit:
    """Unit of a recipe key, as in `Annotated[Count, Unit("px")]`; `dfray recipes keys` prints it."""

    name: str


class Younger:
    """Mark of a key that is younger than stored results, as in `Annotated[Count | None, Younger()]`.

    At its default it has the effect of the time before it, and is left out of what results depend on.
    """


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(ge=0, le=math.nextafter(1, 2))]
"""Of fake probabilities; the one above 1 calls nothing fake, and is fitted where a real video scores 1."""
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=4096)]  # of a picture, in px
Quality = Annotated[int, Field(ge=1, le=100)]  # of JPEG


class Section(BaseModel):
    """Frozen settings of one component; unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def content(self) -> dict[str, Any]:
        """Return the settings that a result depends on, as JSON."""
        return self.model_dump(mode="json")

    def unused_younger(self) -> set[str]:
        """Return the younger keys that are at their default, dotted, of sections inside this one too."""
        unused = set()
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if any(isinstance(item, Younger) for item in field.metadata) and value == field.default:
                unused.add(name)
            elif isinstance(value, Section):
                unused |= {f"{name}.{key}" for key in value.unused_younger()}
        return unused

    def fingerprint(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the content."""
        canonical = json.dumps(self.content(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
