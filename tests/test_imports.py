"""Imports are the bulk of every start, so no process imports what only another kind needs.

`python -m tests.benchmarks.bench_startup` says how much they cost.
"""

from __future__ import annotations

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
    "driver": FOR_LATER | TO_SEE,
    "train controller": FOR_LATER | TO_SEE | {"timm", "torchvision"},
    "train worker": FOR_LATER | TO_SEE,
    "extraction worker": FOR_LATER | TO_SEE | TO_LEARN | {"ray.train", "ray.tune"},
    "its child": FOR_LATER | TO_LEARN | {"pandas", "pyarrow", "ray", "sounddevice"},
}


def test_every_kind_of_process_is_held_to_its_own() -> None:
    assert UNWANTED.keys() == KINDS.keys()


def of_the_same_needs() -> list[list[str]]:
    """Return the kinds in groups with the same unwanted imports, as each process costs CPU-seconds."""
    groups: dict[frozenset[str], list[str]] = {}
    for kind, unwanted in UNWANTED.items():
        groups.setdefault(frozenset(unwanted), []).append(kind)
    return list(groups.values())


@pytest.mark.parametrize("kinds", of_the_same_needs(), ids=" and ".join)
def test_a_process_imports_nothing_that_only_another_kind_needs(kinds: list[str]) -> None:
    imports = "; ".join(KINDS[kind].imports for kind in kinds)
    code = f"{imports}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert UNWANTED[kinds[0]] & set(done.stdout.split()) == set()
