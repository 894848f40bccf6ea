"""Work of the registry's commands on a toy model, for processes that die in it (tests/helpers/kills.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfray.registry.history import PromotionRecord
from dfray.registry.promote import promote, rollback
from dfray.registry.views import read_history
from dfray.serving.package import register
from tests.helpers.registry import section_of
from tests.helpers.scored import measured


@dataclass(frozen=True)
class ToyModel:
    """A registered model of toy versions: its name, its registry and the folder of the bundle."""

    name: str
    tracking_uri: str
    bundle: str

    def register(self, run_id: str) -> str:
        """Register the bundle as the model of a run; print and return the version."""
        found = measured()
        number = register(
            Path(self.bundle),
            section=section_of(self.name),
            tracking_uri=self.tracking_uri,
            run_id=run_id,
            registration="toy",
            metrics=found.metrics,
            scores=found.scores,
        )
        print(number)
        return number

    def promote(self, version: str | None = None) -> PromotionRecord:
        """Promote a version, by default the candidate; print and return the record."""
        return _printed(
            promote(
                section_of(self.name),
                self.tracking_uri,
                version,
                measure=lambda *_: measured(),
                slowdown=lambda *_: 1.0,
            )
        )

    def rollback(self) -> PromotionRecord:
        """Roll back; print and return the record."""
        return _printed(rollback(section_of(self.name), self.tracking_uri))

    def history(self) -> None:
        """Read the history, as a command that shows it does."""
        read_history(section_of(self.name), self.tracking_uri)


def _printed(record: PromotionRecord) -> PromotionRecord:
    print(record.action, record.version.number, record.sequence)
    return record
