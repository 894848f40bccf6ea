"""Benefit of pairs: what a detector makes of a tint that each source video has, on people without any.

    python -m tests.benchmarks.bench_pairing [--work FOLDER]

Each training clip of the demo and the fake made from it get one tint of their own: gains of red, green and
blue between 0.5 and 1.5. Validation and test clips have none. Two sets of faces:

even: all faces. The tint tells nothing of the class.
uneven: of every other source a quarter of the fake's faces is left, of the others a quarter of its own. The
    tint tells the class of four faces in five, unless pairs balance each source.

Each is trained with and without batches.pairing, three seeds each, as the demo trains but in one process;
the differences of the test AUC come with intervals of a bootstrap over videos and seeds, whatever they are.
Asked for: a lower bound above 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfray import stages
from dfray.config import Recipe
from dfray.demo import generate_clips
from dfray.demo.encode import write_clip
from dfray.faces.shards import FacesStore
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.session import session
from tests.benchmarks.measure import holds
from tests.benchmarks.retrained import Retrained, difference, retrained
from tests.helpers.clips import decode_all
from tests.helpers.plain_training import trained, video_scores

SEEDS = (11, 12, 13)
GAINS = (0.5, 1.5)
LEFT = 4
"""The part of the faces that is left of an uneven source or fake: one in so many."""


def tinted_faces(work: Path) -> tuple[Recipe, FacesStore]:
    """Generate the demo's clips, tint those of training, and extract all faces."""
    recipe = load_recipe("demo", [f"work_dir={work}", "batches.stream_first_epoch=false"])
    assert recipe.demo is not None
    folder = Path(generate_clips(recipe.corpora[0].root, recipe.demo, recipe.seed))
    run, mark = RunContext.of(recipe), work / "tinted"
    if not mark.exists():
        for row in stages.build_manifest(run).videos.to_pylist():
            if row["split"] == "train":
                clip = folder / "videos" / Path(row["uri"]).name
                _tint(clip, row["source_video"] or row["video_id"])
        mark.touch()
    with session(recipe.cluster):
        stages.extract(run)
    return recipe, run.faces


def _tint(path: Path, source: str) -> None:
    gains = np.random.default_rng(list(source.encode())).uniform(*GAINS, 3)
    frames = np.stack([picture for _, picture in decode_all(path)])
    tinted = path.with_suffix(".tinted.mp4")
    write_clip(str(tinted), np.clip(np.rint(frames * gains), 0, 255).astype(np.uint8), fps=12)
    tinted.replace(path)


def uneven(summaries: pa.Table) -> pa.Table:
    """SUMMARIES with a quarter of the faces of every other training source, and of the others' fakes."""
    rows = summaries.to_pylist()
    sources = sorted(r["video_id"] for r in rows if r["split"] == "train" and r["label"] == 0)
    few = set(sources[::2])
    for row in rows:
        if row["split"] == "train":
            is_few = (row["source_video"] or row["video_id"]) in few
            if is_few == (row["label"] == 0):
                row["n_faces"] = -(-row["n_faces"] // LEFT)
    return pa.Table.from_pylist(rows, summaries.schema)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path)
    work = parser.parse_args().work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    recipe, store = tinted_faces(work)
    plain = store.summaries()
    sound = True
    for name, summaries in (("even", plain), ("uneven", uneven(plain))):
        apart = [_retrained(recipe, store, summaries, pairing) for pairing in (None, "source")]
        unpaired, paired = apart
        found = difference(paired, unpaired)
        aucs = " and ".join(f"{one.name} {one.mean:.3f} +- {one.spread:.3f}" for one in apart)
        print(f"{name}: AUC {aucs} over {len(SEEDS)} seeds, {paired.videos}")
        print(f"{name}: paired - unpaired {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
        sound &= holds(f"{name}: lower bound of the difference", found.low, at_least=0.0)
    return 0 if sound else 1


def _retrained(
    recipe: Recipe, store: FacesStore, summaries: pa.Table, pairing: str | None
) -> Retrained:
    batches = recipe.batches.model_copy(update={"pairing": pairing})
    setting = recipe.model_copy(update={"batches": batches})
    scored = []
    for seed in SEEDS:
        detector = trained(setting, store, summaries, seed)
        scored.append(video_scores(setting, store, detector))
    return retrained("paired" if pairing else "unpaired", scored)


if __name__ == "__main__":
    sys.exit(main())
