"""Imports are the bulk of every start, so no process imports what only another kind needs.

`python -m tests.benchmarks.bench_startup` says how much they cost.
"""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from tests.benchmarks.bench_startup import KINDS

FOR_LATER = {"kornia", "matplotlib", "mlflow", "optuna", "plotly", "pytorch_metric_learning"}
FOR_LATER |= {"s3fs", "scipy", "sklearn"}
"""What some recipes, and what comes after training, import when they need it."""
TO_SEE = {"av", "cv2", "mediapipe"}
TO_LEARN = {"timm", "torch", "torchvision"}

UNWANTED = {
    "its child": FOR_LATER | TO_LEARN | {"pandas", "pyarrow", "ray", "sounddevice"},
    "command": FOR_LATER | TO_SEE | TO_LEARN | {"pandas", "ray"},
    "extraction worker": FOR_LATER | TO_SEE | TO_LEARN | {"ray.train", "ray.tune"},
    "train controller": FOR_LATER | TO_SEE | {"timm", "torchvision"},
    "train worker": FOR_LATER | TO_SEE,
    "driver": FOR_LATER | TO_SEE,
}
SEQUENCES = [
    ["its child"],
    ["command"],
    ["extraction worker", "train controller", "train worker", "driver"],
]
"""Kinds whose imports one process makes one after the other: what one of them lacks, the next may import."""


def test_every_kind_of_process_is_held_to_its_own() -> None:
    assert UNWANTED.keys() == KINDS.keys() == set(itertools.chain(*SEQUENCES))
    for kinds in SEQUENCES:
        for before, after in itertools.pairwise(kinds):
            assert UNWANTED[before] >= UNWANTED[after]


@pytest.mark.parametrize("kinds", SEQUENCES, ids=", ".join)
def test_a_process_imports_nothing_that_only_another_kind_needs(kinds: list[str]) -> None:
    code = "import sys\n" + "\n".join(
        f"{KINDS[kind].imports}\nprint(*sys.modules)" for kind in kinds
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for kind, modules in zip(kinds, done.stdout.splitlines(), strict=True):
        assert (kind, UNWANTED[kind] & set(modules.split())) == (kind, set())
