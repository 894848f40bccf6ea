"""Manifest of a run: checked, written, or worked out without writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from dfray.config import CorpusSection, Recipe
from dfray.datasets import manifest as manifests
from dfray.datasets.files import Files
from dfray.datasets.manifest import Manifest
from dfray.progress import stage
from dfray.run_context import RunContext
from dfray.tables import VIDEOS


def check_manifest(run: RunContext, *, opened: int | None = manifests.OPENED) -> Manifest:
    """Read and check the corpora; return the manifest that they give, with its account. Write nothing.

    The demo's clips are listed without being drawn.

    Args:
        opened: files of each dataset that are opened; None: all.
    """
    recipe = run.recipe
    if recipe.demo is None:
        return _read_corpora(recipe.corpora, opened)
    clips = _demo_videos(recipe)
    corpora = [corpus for corpus in recipe.corpora if corpus.reader != "demo"]
    if not corpora:
        return Manifest(clips)
    others = _read_corpora(corpora, opened)
    return replace(others, videos=pa.concat_tables([clips, others.videos]))


def planned_manifest(run: RunContext) -> Manifest:
    """Return the run's manifest, which has no account, or the one that it would have; write nothing."""
    return Manifest(run.manifest) if run.has_manifest else check_manifest(run)


def build_manifest(run: RunContext, manifest: Manifest | None = None) -> Manifest:
    """Draw the demo's clips, if the recipe has them, and write the run's manifest; return it.

    Args:
        manifest: as `check_manifest` has just returned it; default: it is read now.
    """
    run.folder.claim()
    if run.recipe.demo is not None:
        _generate_clips(run)
    manifest = manifest or check_manifest(run)
    manifests.write_manifest(manifest, run.folder.manifest)
    return manifest


def _read_corpora(corpora: Sequence[CorpusSection], opened: int | None) -> Manifest:
    with stage("manifest", total=1) as line:
        manifest = manifests.build_manifest(corpora, line.update, opened=opened)
        left_out = manifest.left_out.total()
        counts = f"{manifest.videos.num_rows} videos, {len(manifest.missing)} missing"
        line.finish(counts + (f", {left_out} left out" if left_out else ""))
    return manifest


def _generate_clips(run: RunContext) -> None:
    from dfray.demo import generate_clips

    assert run.recipe.demo is not None
    with stage("clips", total=1) as line:
        generate_clips(run.folder.clips, run.recipe.demo, run.recipe.seed, line.update)
        line.finish()


def _demo_videos(recipe: Recipe) -> pa.Table:
    """Return VIDEOS of the demo's clips, none of which is drawn for it."""
    from dfray.datasets.readers.demo_clips import video_rows
    from dfray.demo import clip_rows

    assert recipe.demo is not None
    clips = list(clip_rows(recipe.demo, recipe.seed))
    rows = [
        {"kind": "video", "stride": 1} | row | {"split": corpus.split or row["split"]}
        for corpus in recipe.corpora
        if corpus.reader == "demo"
        for row in video_rows(corpus, Files(corpus.root), clips)
        if corpus.only is None or row["split"] in corpus.only
    ]
    return VIDEOS.from_rows(rows)
