"""Subject of the checks: a run, and the videos that it has or would have, read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from dfray.config import Recipe
from dfray.datasets.manifest import Manifest
from dfray.errors import DfrayError
from dfray.resources import Node
from dfray.run_context import RunContext
from dfray.run_manifest import check_manifest
from dfray.session import expected_nodes


@dataclass(frozen=True)
class Subject:
    """Run that is checked; making one reads nothing, and nothing is written.

    Attributes:
        read: returns the manifest of the run, or raises a DfrayError.
    """

    run: RunContext
    read: Callable[[RunContext], Manifest] = check_manifest

    @classmethod
    def as_listed(cls, run: RunContext) -> Subject:
        """Return the run with its videos as a command last listed them; the corpora are not looked at."""
        return cls(run, lambda run: Manifest(run.manifest))

    @property
    def recipe(self) -> Recipe:
        """Recipe of the run."""
        return self.run.recipe

    @property
    def manifest(self) -> Manifest:
        """Manifest of the run.

        Raises:
            DfrayError: its corpora cannot be read, or contradict each other.
        """
        if isinstance(self._reading, DfrayError):
            raise self._reading
        return self._reading

    @property
    def videos(self) -> pa.Table | None:
        """VIDEOS of the run; None: they cannot be read."""
        return None if isinstance(self._reading, DfrayError) else self._reading.videos

    @cached_property
    def missing(self) -> int:
        """Number of videos whose faces are not stored, one at least if that is unknown."""
        try:
            return self.run.extracted(self.manifest.videos).missing
        except DfrayError:
            return 1

    @cached_property
    def nodes(self) -> list[Node] | None:
        """Nodes that the run's session would have; None: they cannot be told."""
        try:
            return expected_nodes(self.recipe.cluster)
        except DfrayError:
            return None

    @cached_property
    def _reading(self) -> Manifest | DfrayError:
        try:
            return self.read(self.run)
        except DfrayError as error:
            return error
