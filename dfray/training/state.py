"""State of an exact resume, in one file that loads without running code (weights_only).

Of the network it holds what is trained, and its buffers; frozen parameters are those of the initial
weights, whose digest it has. No random state is saved. Each epoch has its seed,
`seed_epoch(seed, epoch, rank)`, so a run resumed at an epoch makes the same random draws on every worker
from one worker's file.
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
from dfray.training.sharding import gathered, placed, placed_optimizer


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Seed the global generators of torch (all devices), numpy and Python for one worker's epoch."""
    seeds = np.random.SeedSequence([seed, epoch, rank]).generate_state(3)
    torch.manual_seed(int(seeds[0]))
    np.random.seed(seeds[1])
    random.seed(int(seeds[2]))


def save_state(
    path: str | Path | None,
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
    objective: nn.Module | None = None,
    average: nn.Module | None = None,
) -> None:
    """Write trained weights, optimizer state and `progress` to the local file `path`.

    Sharded tensors are gathered from all workers, which must all call it, one of them with a path.

    Args:
        path: None: nothing is written.
        detector: the Detector, not its DistributedDataParallel wrapper.
        progress: of the run (epochs and steps done, the history of its metrics), as JSON values.
        objective: with a balanced weight, and the parameters of metric losses.
        average: the network with the moving average of the weights.
    """
    frozen = frozen_names(detector)
    state = {
        "frozen": detector.frozen,
        "detector": _without(detector.state_dict(), frozen),
        "objective": objective.state_dict() if objective else {},
        "average": _without(average.state_dict(), frozen) if average else {},
        "optimizer": optimizer.state_dict(),
        "progress": json.dumps(progress),
    }
    state = gathered(state)
    if path is not None:
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
        ModelFileError: the file is missing or damaged, or of another network, optimizer or frozen weights.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        _require_frozen(detector, state.get("frozen"))
        _load_trained(detector, state["detector"], frozen_names(detector))
        if objective:
            objective.load_state_dict(state["objective"])
        if average:
            _load_trained(average, state["average"], frozen_names(detector))
        optimizer.load_state_dict(placed_optimizer(state["optimizer"], optimizer))
        progress: dict[str, Any] = json.loads(state["progress"])
    except (OSError, EOFError, pickle.UnpicklingError, RuntimeError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"Training cannot resume from {path}: {type(error).__name__}: {error}.",
            "Resume with the recipe the run was started with, or start a new run under a new name.",
        ) from error
    return progress


def frozen_names(detector: Detector) -> set[str]:
    """Return the names of the parameters that are not trained."""
    return {name for name, value in detector.named_parameters() if not value.requires_grad}


def _without(state: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in names}


def _load_trained(network: nn.Module, state: dict[str, Any], frozen: set[str]) -> None:
    """Load what `save_state` kept; files of an earlier dfray have the frozen parameters, too.

    Raises:
        RuntimeError: a name is missing or unknown, or a shape is another.
    """
    found = network.load_state_dict(placed(state, network.state_dict()), strict=False)
    missing = set(found.missing_keys) - frozen
    if missing or found.unexpected_keys:
        raise RuntimeError(
            f"missing {sorted(missing) or 'nothing'}, unexpected {found.unexpected_keys or 'nothing'}"
        )


def _require_frozen(detector: Detector, saved: str | None) -> None:
    """Check that the network has the frozen weights of the saved run, if the file says which."""
    if saved is not None and detector.frozen is not None and saved != detector.frozen:
        raise ValueError(
            "its frozen weights are others than those that model.weights gives now "
            f"(SHA-256 {saved[:12]}, not {detector.frozen[:12]})"
        )
