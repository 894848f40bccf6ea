"""How much of a start is imports, process by process, and how far ours are above what the libraries ask.

    python -m tests.benchmarks.bench_startup

A small run is started: two Ray Train workers whose first epoch is fed by a running extraction. Every
process's CPU time is read as soon as the first step has been told of. What a kind of process imports is
measured in fresh interpreters, the least of three, and so is its `floor`: what it would import if the
libraries that it cannot do without were all. Of a train worker that is Ray Train, timm and torch with what
the first optimizer loads (torch._dynamo, whether or not anything is compiled).

Asked for: the imports of each kind at most 1.25 x its floor.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import holds
from tests.benchmarks.processes import CpuWatch, Spent

BOUND, REPEATS = 1.25, 3
_OPTIMIZER = "import torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)"
RECIPE = [
    "training.epochs=1",
    "batches.stream_first_epoch=true",
    "cluster.num_cpus=4",
    "cluster.extract_workers=1",
]


@dataclass(frozen=True)
class Kind:
    """A kind of process: its name as CpuWatch gives it, what it imports, and the least of it."""

    process: str
    ours: str
    floor: str


KINDS = {
    "driver": Kind(
        "tests.benchmarks.bench_startup",
        "import dfray.training.launch, ray.data",
        "import timm, ray.train.torch, ray.data",
    ),
    "train worker": Kind(
        "ray::RayTrainWorker",
        f"import dfray.training.worker; {_OPTIMIZER}",
        f"import timm, ray.train.torch; {_OPTIMIZER}",
    ),
    "extraction worker": Kind(
        "ray::MapWorker",
        "import ray.data, dfray.faces.extract",
        "import ray.data",
    ),
    "its child": Kind(
        "dfray.faces.child",
        "import dfray.faces.child, dfray.faces.decode, dfray.faces.detect, mediapipe, cv2",
        "import av, cv2, mediapipe",
    ),
}


def import_seconds(statements: str) -> float:
    """CPU seconds of `statements` in a fresh interpreter, the least of REPEATS."""
    code = f"import time; start = time.process_time(); {statements}\nprint(time.process_time() - start)"
    return min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(REPEATS)
    )


def at_first_step(folder: str) -> dict[int, Spent]:
    """CPU seconds of every process of a run when its first step has been taken."""
    import ray

    from dfray.progress import counting_actor
    from dfray.session import session
    from dfray.training.launch import train_detector
    from tests.helpers.corpus import write_corpus
    from tests.helpers.toy import toy_recipe

    recipe = toy_recipe(folder, "toy", *RECIPE)
    videos = write_corpus(Path(folder, "corpus"), 24, seconds=8, splits=("train", "train", "val"))
    looks: list[dict[int, Spent]] = []
    with CpuWatch() as watch, session(recipe.cluster):
        progress, stop = counting_actor(), threading.Event()

        def follow() -> None:
            while not looks and not stop.wait(0.2):
                if "step" in ray.get(progress.get.remote()):
                    looks.append(watch.look())

        thread = threading.Thread(target=follow)
        thread.start()
        train_detector(recipe, videos, stream=True, progress=progress)
        stop.set()
        thread.join()
        return looks[0]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        spent = at_first_step(folder)
    total = sum(process.cpu_s for process in spent.values())
    counts = Counter(process.name for process in spent.values())
    held, named = True, 0.0
    print(f"CPU seconds up to the first step: {total:.1f} in {len(spent)} processes")
    for name, kind in KINDS.items():
        ours, floor = import_seconds(kind.ours), import_seconds(kind.floor)
        whole = sum(process.cpu_s for process in spent.values() if process.name == kind.process)
        count = counts[kind.process]
        named += count * ours
        print(
            f"{name:<18} {count} x: {whole:5.1f} s, imports {count * ours:5.1f} s of it "
            f"({count * ours / whole:.0%}); {ours:.2f} s each, floor {floor:.2f} s"
        )
        held = holds(f"imports of the {name} / floor", ours / floor, at_most=BOUND) and held
    known = {kind.process for kind in KINDS.values()}
    others = Counter[str]()
    for process in spent.values():
        if process.name not in known:
            others[process.name] += process.cpu_s
    for name, seconds in others.most_common():
        print(f"{name:<28} {counts[name]} x: {seconds:5.1f} s")
    print(f"imports of those four kinds: {named / total:.0%} of the whole start")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
