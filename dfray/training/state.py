"""State of an exact resume, in one file that loads without running code (weights_only).

No random state is saved. Each epoch has its seed, `seed_epoch(seed, epoch, rank)`, so a run resumed at an
epoch makes the same random draws on every worker from one worker's file.
"""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dfray.errors import ModelFileError
from dfray.models.backbone import Detector


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Seed the global generators of torch (all devices), numpy and Python for one worker's epoch."""
    seeds = np.random.SeedSequence([seed, epoch, rank]).generate_state(3)
    torch.manual_seed(int(seeds[0]))
    np.random.seed(seeds[1])
    random.seed(int(seeds[2]))


def save_state(
    path: str | Path,
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
    objective: nn.Module | None = None,
    average: nn.Module | None = None,
) -> None:
    """Write weights, optimizer state and `progress` to the local file `path`.

    Args:
        detector: the Detector, not its DistributedDataParallel wrapper.
        progress: of the run (epochs and steps done, the history of its metrics), as JSON values.
        objective: with a balanced weight, and the parameters of metric losses.
        average: the network with the moving average of the weights.
    """
    state = {
        "detector": detector.state_dict(),
        "objective": objective.state_dict() if objective else {},
        "average": average.state_dict() if average else {},
        "optimizer": optimizer.state_dict(),
        "progress": json.dumps(progress),
    }
    torch.save(state, path)


def load_state(
    path: str | Path,
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    objective: nn.Module | None = None,
    average: nn.Module | None = None,
) -> dict[str, Any]:
    """Restore all in place, on their devices, and return the saved `progress`.

    Raises:
        ModelFileError: the file is missing or damaged, or of another network or optimizer.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        detector.load_state_dict(state["detector"])
        if objective:
            objective.load_state_dict(state["objective"])
        if average:
            average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        progress: dict[str, Any] = json.loads(state["progress"])
    except (OSError, EOFError, pickle.UnpicklingError, RuntimeError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"Training cannot resume from {path}: {type(error).__name__}: {error}.",
            "Resume with the recipe the run was started with, or start a new run under a new name.",
        ) from error
    return progress
