"""Inference cost of a model's network over another's, timed side by side.

CPU seconds of one thread a face, preprocessing included, decoding and face detection not: those are the
same for both. The models take turns on the same faces and the medians are compared, so a busy machine slows
both. It ranks networks on a CPU; a GPU may rank them otherwise.
"""

from __future__ import annotations

import time

import numpy as np

from dfray.models.bundle import Bundle

FACES = 8
"""Faces scored at once."""
_ROUNDS, _BUDGET_S = 9, 20.0


def slowdown(candidate_dir: str, champion_dir: str) -> float:
    """CPU seconds a face of the candidate's bundle over those of the champion's; both in local folders.

    Raises:
        ModelFileError: a bundle is not whole.
    """
    import torch

    bundles = [Bundle.load(folder) for folder in (candidate_dir, champion_dir)]
    side = bundles[1].faces["size_px"]
    faces = np.random.default_rng(0).integers(0, 256, (FACES, side, side, 3), np.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        costs = _alternate(bundles, faces)
    finally:
        torch.set_num_threads(threads)
    candidate, champion = np.median(costs, axis=0)
    return float(candidate / champion)


def _alternate(bundles: list[Bundle], faces: np.ndarray) -> list[list[float]]:
    """CPU seconds of each bundle in each round; the first round, which allocates, is left out."""
    rounds: list[list[float]] = []
    began = time.process_time()
    while len(rounds) < 2 or (len(rounds) <= _ROUNDS and time.process_time() - began < _BUDGET_S):
        rounds.append([_cost(bundle, faces) for bundle in bundles])
    return rounds[1:]


def _cost(bundle: Bundle, faces: np.ndarray) -> float:
    before = time.process_time()
    bundle.predict(faces)
    return time.process_time() - before
