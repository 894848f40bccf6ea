"""CPU time of imports at the start of every process, against what its libraries need.

    python -m tests.benchmarks.bench_startup

A small run is started: two Ray Train workers whose first epoch is fed by a running extraction. As soon as
its first step has been told of, the CPU time of every process is read, and what of it were imports, which
each process notes itself (tests/benchmarks/import_clock). What is ours to cut is measured in fresh
interpreters, the least of three: what a kind of process imports, and its `floor`, what it would import if
the libraries that it cannot do without were all. Of a train worker that is Ray Train, timm and torch with
what the first optimizer loads (torch._dynamo, whether or not anything is compiled); of the child that
decodes, pydantic is one, which its settings are made of.

Asked for: the imports of each kind at most 1.25 x its floor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import holds
from tests.benchmarks.processes import CpuWatch, Spent, by_name
from tests.helpers.corpus import write_corpus

BOUND, REPEATS = 1.25, 3
CLOCK = Path(__file__).parent / "import_clock"
FIRST_STEP = "the first step was taken"
_OPTIMIZER = "import torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)"
RECIPE = [
    "training.epochs=1",
    "batches.stream_first_epoch=true",
    "cluster.num_cpus=4",
    "cluster.extract_workers=1",
]


@dataclass(frozen=True)
class Kind:
    """A kind of process: what it imports before the first step, and the least of it."""

    imports: str
    floor: str


KINDS = {
    "command": Kind(
        "import dfray.cli, dfray.stages, dfray.recipe",
        "import fsspec, numpy, pyarrow.compute, pyarrow.parquet, rich.live, typer, urllib.request, yaml; "
        "from pydantic import BaseModel",
    ),
    "driver": Kind(
        "import dfray.training.launch, ray.data",
        "import timm, ray.train.torch, ray.data",
    ),
    "train controller": Kind(
        "import dfray.training.elastic, dfray.training.worker_config",
        "import ray.train.torch",
    ),
    "train worker": Kind(
        f"import dfray.training.worker; {_OPTIMIZER}",
        f"import timm, ray.train.torch; {_OPTIMIZER}",
    ),
    "extraction worker": Kind(
        "import ray.data, dfray.faces.extract",
        "import ray.data",
    ),
    "its child": Kind(
        "import dfray.faces.child, dfray.faces.pictures, dfray.faces.detect, dfray.faces.landmarks; "
        "import cv2; from dfray.faces import mediapipe_import as m; m.import_mediapipe()",
        "import av, cv2, mediapipe, PIL.Image; from pydantic import BaseModel",
    ),
}


def import_seconds(statements: str) -> float:
    """CPU seconds of `statements` in a fresh interpreter, the least of REPEATS."""
    code = f"import time; start = time.process_time(); {statements}\nprint(time.process_time() - start)"
    return min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(REPEATS)
    )


def run(folder: str) -> None:
    """Train; prints a line when the first step has been told of."""
    import ray

    from dfray.progress import counting_actor
    from dfray.session import session
    from dfray.training.launch import train_detector
    from tests.helpers.corpus import videos_of
    from tests.helpers.toy import toy_recipe

    recipe = toy_recipe(folder, "toy", *RECIPE)
    with session(recipe.cluster):
        progress = counting_actor()

        def follow() -> None:
            while "step" not in ray.get(progress.get.remote()):
                time.sleep(0.2)
            print(FIRST_STEP, flush=True)

        threading.Thread(target=follow, daemon=True).start()
        train_detector(recipe, videos_of(f"{folder}/corpus"), stream=True, progress=progress)


def at_first_step(folder: Path) -> tuple[dict[int, Spent], dict[int, float]]:
    """CPU seconds of every process of a run, and those of its imports, when its first step has been taken."""
    write_corpus(folder / "corpus", 24, seconds=8, splits=("train", "train", "val"))
    noted = folder / "imports"
    noted.mkdir()
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.bench_startup", "--run", str(folder)],
        env=os.environ | {"PYTHONPATH": f"{CLOCK}:{os.getcwd()}", "DFRAY_IMPORT_CLOCK": str(noted)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver, CpuWatch() as watch:
        assert driver.stdout is not None
        if not any(line.strip() == FIRST_STEP for line in driver.stdout):
            raise RuntimeError("the run ended before its first step")
        spent = watch.look()
        imports = {int(file.name): float(file.read_text() or 0) for file in noted.iterdir()}
    spent.pop(os.getpid())
    return spent, imports


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run)
        return 0
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        spent, imports = at_first_step(Path(folder))
    total, imported = sum(process.cpu_s for process in spent.values()), sum(imports.values())
    print(
        f"CPU seconds up to the first step: {total:.1f} in {len(spent)} processes, "
        f"{imported:.1f} ({imported / total:.0%}) of them imports; load {os.getloadavg()[0]:.1f}"
    )
    for name, cpu_s in by_name(spent).most_common():
        pids = [pid for pid, process in spent.items() if process.name == name]
        of_imports = sum(imports.get(pid, 0.0) for pid in pids)
        print(f"{name:<36} {len(pids)} x: {cpu_s:5.1f} s, imports {of_imports:5.1f} s")
    is_met = True
    for name, kind in KINDS.items():
        imports_s, floor = import_seconds(kind.imports), import_seconds(kind.floor)
        print(f"{name}: imports {imports_s:.2f} s, floor {floor:.2f} s")
        is_met = (
            holds(f"imports of the {name} / floor", imports_s / floor, at_most=BOUND) and is_met
        )
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
