"""What every section of a recipe is, and the kinds of numbers in it."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Quality = Annotated[int, Field(ge=1, le=100)]  # of JPEG


class Section(BaseModel):
    """A frozen part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def content(self) -> dict[str, Any]:
        """What a result depends on."""
        return self.model_dump(mode="json")

    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the content."""
        canonical = json.dumps(self.content(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
