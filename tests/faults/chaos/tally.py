"""Count of kills by what was killed in which command, and of all that they lost, doubled or changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Kills that were watched, and their damage.

    Attributes:
        kills: (command, what was killed) -> how often.
        faults: a line for each thing that was lost, doubled or different afterwards, or did not end.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, command: str, victim: str, faults: list[str]) -> None:
        """Count one kill, and note what it did."""
        self.kills[command, victim] += 1
        self.faults += [f"{command}, {victim}: {fault}" for fault in faults]

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.kills + other.kills, self.faults + other.faults)

    def lines(self) -> list[str]:
        """Return the table, the sum and the faults as lines of text."""
        rows = [
            f"{n:5}  {command}: {victim}" for (command, victim), n in sorted(self.kills.items())
        ]
        total = f"{self.kills.total()} kills, {len(self.faults)} lost, doubled or different"
        return [*rows, total, *self.faults]
