"""Kills drawn at random; `python -m tests.faults.chaos` draws more, of extraction and training too."""

from __future__ import annotations

import random
import secrets
from pathlib import Path

from tests.faults.chaos.registry import RegistryChaos

STRIKES = 6


def test_the_registry_is_the_same_whatever_call_its_commands_are_killed_at(
    tmp_path: Path, bundle_dir: Path
) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    chaos = RegistryChaos(tmp_path, uri, bundle_dir, random.Random(seed))
    for _ in range(STRIKES):
        chaos.strike()
    assert chaos.tally.faults == []
    assert chaos.tally.kills.total() >= STRIKES // 2 - 1, "the first of each command is not killed"
