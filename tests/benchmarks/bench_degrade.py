"""Benefit of degradations in training: drops of the AUC under the strongest post-processings; and their cost.

    python -m tests.benchmarks.bench_degrade [--work FOLDER] [--processes N] [--degrade KEYS] [--seeds N ...]

The demo's detector is trained in one process as its recipe has it, and with `augment.degrade: {}`, or other
KEYS of it, for twice as many epochs, three seeds each, and scored on the test people, clean and under each
kind of post-processing at its strongest. The drop is that of the mean over the kinds; differences come with
intervals of a bootstrap over videos and seeds, whatever they are. Asked for: half the drop at most, and a
clean AUC that is at most 0.02 lower; both, as a detector that tells nothing has no drop.

Costs are CPU time for a face of 224 px: the stand-in for H.264 against x264, and all degradations against
the augmentation of arXiv 2508.19730's fine-tuning; and the tensor operations dispatched for a batch of 64.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from dfray import stages
from dfray.batches.augment import Augment
from dfray.batches.augment.degrade import degrade, h264_like
from dfray.config import DegradeSection, ModelSection, Recipe
from dfray.demo import generate_clips
from dfray.models.preprocess import Preprocess
from dfray.post_processing import POST_PROCESSINGS, post_process
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.session import session
from tests.benchmarks.build_augment import FSFM, DispatchCount
from tests.benchmarks.measure import holds, interleaved
from tests.benchmarks.retrained import Retrained, difference, retrained
from tests.helpers.crops import draw_crops
from tests.helpers.plain_training import trained, video_scores

SEEDS = (21, 22, 23)
EPOCHS = 12
"""Of a training with degradations; within the demo's six the network has not begun to tell faces apart."""
CLEAN = "clean"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path)
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side")
    parser.add_argument("--degrade", default="{}", help="KEYS of augment.degrade")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    print_costs()
    recipe = recipe_in(work)
    assert recipe.demo is not None
    generate_clips(recipe.corpora[0].root, recipe.demo, recipe.seed)
    with session(recipe.cluster):
        stages.extract(RunContext.of(recipe))
    spawn = multiprocessing.get_context("spawn")  # a forked child would share torch's threads
    with ProcessPoolExecutor(given.processes, spawn) as pool:
        tasks = [
            [pool.submit(scored, work, keys, seed) for seed in given.seeds]
            for keys in (None, given.degrade)
        ]
        plain, degraded = (of_setting([task.result() for task in each]) for each in tasks)
    return 0 if compare(plain, degraded) else 1


def recipe_in(work: Path, degrade_keys: str | None = None) -> Recipe:
    given = [f"work_dir={work}", "batches.stream_first_epoch=false"]
    if degrade_keys is not None:
        given += [f"augment.degrade={degrade_keys}", f"training.epochs={EPOCHS}"]
    return load_recipe("demo", given)


def scored(work: Path, degrade_keys: str | None, seed: int) -> dict[str, pa.Table]:
    """Return the scores of the test videos after a training, clean and under each kind at its strongest.

    They are kept in the folder: a benchmark that was stopped goes on.
    """
    torch.set_num_threads(1)
    recipe = recipe_in(work, degrade_keys)
    settings = f"{recipe.augment.fingerprint()}-{recipe.training.fingerprint()}"
    folder = work / "scores" / f"{settings}-{seed}"
    if not folder.exists():
        store = RunContext.of(recipe).faces
        detector = trained(recipe, store, store.summaries(), seed)
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        for kind in (CLEAN, *POST_PROCESSINGS):
            changed = (strongest(kind),) if kind in POST_PROCESSINGS else ()
            table = video_scores(recipe, store, detector, *changed)
            pq.write_table(table, part / f"{kind}.parquet")
        part.rename(folder)
    return {path.stem: pq.read_table(path) for path in folder.glob("*.parquet")}


def strongest(kind: str) -> Callable[[np.ndarray, list[str]], np.ndarray]:
    strength = POST_PROCESSINGS[kind].strengths[-1]
    return lambda images, videos: post_process(kind, strength, images, videos)


def of_setting(tables: list[dict[str, pa.Table]]) -> dict[str, Retrained]:
    return {name: retrained(name, [one[name] for one in tables]) for name in tables[0]}


def drop(aucs: dict[str, Retrained], kinds: list[str], share: float = 1.0) -> Retrained:
    """`share` of the mean fall of the AUC over `kinds`, for each seed and draw."""
    clean = aucs[CLEAN]
    fallen = [
        share * (one - np.mean([aucs[kind].aucs[seed] for kind in kinds]))
        for seed, one in enumerate(clean.aucs)
    ]
    resampled = clean.resampled - np.mean([aucs[kind].resampled for kind in kinds], axis=0)
    return Retrained("drop", clean.videos, [float(one) for one in fallen], share * resampled)


def compare(plain: dict[str, Retrained], degraded: dict[str, Retrained]) -> bool:
    """Print all differences; return whether both demands are met."""
    print(f"{plain[CLEAN].videos}, {len(plain[CLEAN].aucs)} seeds")
    clean = difference(degraded[CLEAN], plain[CLEAN])
    print(
        f"clean: AUC {plain[CLEAN].mean:.3f} without, {degraded[CLEAN].mean:.3f} with degradations"
    )
    print(f"clean: change {clean.value:+.3f} [{clean.low:+.3f}, {clean.high:+.3f}]")
    for kinds in [*([kind] for kind in POST_PROCESSINGS), list(POST_PROCESSINGS)]:
        before, after = drop(plain, kinds), drop(degraded, kinds)
        found = difference(after, before)
        name = kinds[0] if len(kinds) == 1 else "mean"
        left = [of[CLEAN].mean - fall.mean for of, fall in ((plain, before), (degraded, after))]
        print(f"{name}: AUC {left[0]:.3f} without, {left[1]:.3f} with degradations")
        print(
            f"{name}: drop {before.mean:.3f} without, {after.mean:.3f} with: "
            f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        )
    kinds = list(POST_PROCESSINGS)
    beyond_half = difference(drop(degraded, kinds), drop(plain, kinds, share=0.5))
    low, high = beyond_half.low, beyond_half.high
    print(f"drop with - half the drop without: {beyond_half.value:+.3f} [{low:+.3f}, {high:+.3f}]")
    halved = holds("drop with - half the drop without", beyond_half.value, at_most=0.0)
    return holds("loss of the clean AUC", -clean.value, at_most=0.02) and halved


def print_costs() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    faces = np.concatenate([draw_crops(16)] * 4)
    images = torch.from_numpy(faces).permute(0, 3, 1, 2).contiguous()
    crf = torch.full((len(images), 1), 28)
    preprocess = Preprocess(ModelSection(size_px=224))
    chains = {order: DegradeSection(order=order) for order in ("fixed", "shuffled")}
    spent = interleaved(
        {
            "x264, a clip of one": lambda: post_process(
                "h264", 28, faces, list(map(str, range(64)))
            ),
            "x264, a clip of 64": lambda: post_process("h264", 28, faces, ["a"] * 64),
            "h264_like": lambda: h264_like.apply(images, crf),
            "paper's augmentation": lambda: Augment(FSFM, preprocess).levels(images),
            **{
                f"degrade, {order}": lambda section=section: degrade(images, section)
                for order, section in chains.items()
            },
        },
        repeats=3,
    )
    for name, seconds in spent.items():
        print(f"{name}: {1e3 * seconds / len(images):.2f} ms a face on a CPU")
    for order, section in chains.items():
        counts = []
        for seed in range(20):
            torch.manual_seed(seed)
            with DispatchCount() as dispatched:
                degrade(images, section)
            counts.append(dispatched.count)
        print(f"degrade, {order}: {np.mean(counts):.0f} operations ({min(counts)}-{max(counts)})")
    torch.set_num_threads(threads)


if __name__ == "__main__":
    sys.exit(main())
