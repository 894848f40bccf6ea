"""One build's augmentation, driven by `builds` over standard input and output.

    PYTHONPATH=<checkout> python build_augment.py faces.npy

For every line that comes in, `seed N` or `count N`, the batch is augmented once from seed N as FSFM's recipe
asks, and the CPU seconds or the number of tensor operations that torch dispatches, views included, go out.
It uses only what builds since c7ed4ae have in common.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dfray.batches.augment import Augment
from dfray.config import AugmentSection, ModelSection
from dfray.models.preprocess import Preprocess, channels_first

FSFM = AugmentSection(
    crop_scale=(0.08, 1.0),
    interpolation="bicubic",
    randaugment="rand-m9-mstd0.5-inc1",
    brightness=0,
    contrast=0,
    erasing=0.25,
)


class DispatchCount(TorchDispatchMode):
    """The number of operations that are dispatched within it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.count += 1
        return func(*args, **(kwargs or {}))


def serve(faces: torch.Tensor) -> None:
    """Augment uint8 (B, H, H, 3) for every line of standard input."""
    augment = Augment(FSFM, Preprocess(ModelSection(size_px=faces.shape[1])))
    images = channels_first(faces)
    augment(images)  # what is imported or set up at the first call
    for line in sys.stdin:
        what, seed = line.split()
        torch.manual_seed(int(seed))
        if what == "count":
            with DispatchCount() as dispatched:
                augment(images)
            print(dispatched.count, flush=True)
        else:
            start_s = time.process_time()
            augment(images)
            print(time.process_time() - start_s, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(torch.from_numpy(np.load(sys.argv[1])))
