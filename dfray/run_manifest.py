"""Manifest of a run: checked, written, or worked out without writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from dfray.config import CorpusSection, Recipe
from dfray.datasets import manifest as manifests
from dfray.datasets.corpus import require_methods, why_not_read
from dfray.datasets.files import Files
from dfray.datasets.manifest import Manifest, read_manifest
from dfray.dependencies import of_faces
from dfray.faces.contents import with_contents
from dfray.faces.shards import FacesStore
from dfray.notes import note
from dfray.progress import stage
from dfray.run_context import RunContext
from dfray.tables import FAKE, VIDEOS, Row

_COMPARED = ("split", "label", "category", "dataset")


def check_manifest(run: RunContext, *, opened: int | None = manifests.OPENED) -> Manifest:
    """Look at the corpora, say what changed since the last look; return their manifest. Write nothing.

    The demo's clips are listed without being drawn.

    Args:
        opened: files of each dataset that are opened; None: all.
    """
    recipe = run.recipe
    earlier = run.manifest if run.has_manifest else None
    clips = _demo_videos(recipe) if recipe.demo is not None else VIDEOS.from_rows([])
    corpora = [corpus for corpus in recipe.corpora if corpus.reader != "demo"]
    manifest = Manifest(clips)
    if corpora:
        read = _read_corpora(corpora, opened)
        manifest = replace(read, videos=pa.concat_tables([clips, read.videos]))
    store = FacesStore(run.runs.faces(of_faces(recipe).key))
    videos = with_contents(manifest.videos, earlier, store, recipe.faces.stall_limit_s)
    manifest = replace(manifest, videos=videos)
    changes = changes_since(earlier, manifest.videos) if earlier is not None else ""
    if changes:
        note(f"· since the last look at the corpora: {changes}")
    return manifest


def build_manifest(run: RunContext, manifest: Manifest | None = None) -> Manifest:
    """Draw the demo's clips, if the recipe has them, and write the run's manifest; return it.

    Args:
        manifest: as `check_manifest` has just returned it; default: it is read now.
    """
    manifest = manifest or check_manifest(run)
    _generate_clips(run.recipe)
    if not run.has_manifest or not manifest.videos.equals(read_manifest(run.runs.manifest)):
        manifests.write_manifest(manifest, run.runs.manifest)
    run.look_at(manifest.videos)
    return manifest


def changes_since(earlier: pa.Table, videos: pa.Table) -> str:
    """Return how the videos differ from those of an earlier manifest, as `+5, -2, 3 changed videos`.

    A changed video is a file that was overwritten. Empty if nothing differs.
    """
    before, now = (
        {(row["video_id"], row["uri"]): row for row in table.to_pylist()}
        for table in (earlier, videos)
    )
    pairs = [(before[key], now[key]) for key in before.keys() & now.keys()]
    counted = {
        "+{:,}": len(now.keys() - before),
        "-{:,}": len(before.keys() - now),
        "{:,} changed": sum(_is_overwritten(old, new) for old, new in pairs),
    }
    moved = sum(any(old[name] != new[name] for name in _COMPARED) for old, new in pairs)
    counts = [text.format(count) for text, count in counted.items() if count]
    sentences = [f"{', '.join(counts)} videos"] if counts else []
    sentences += [f"{moved:,} with another split or class"] if moved else []
    return "; ".join(sentences)


def _is_overwritten(earlier: Row, now: Row) -> bool:
    return earlier["stamp"] is not None and earlier["content"] != now["content"]


def _read_corpora(corpora: Sequence[CorpusSection], opened: int | None) -> Manifest:
    with stage("manifest", total=1) as line:
        manifest = manifests.build_manifest(corpora, line.update, opened=opened)
        left_out = manifest.left_out.total()
        counts = f"{manifest.videos.num_rows} videos, {len(manifest.missing)} missing"
        line.finish(counts + (f", {left_out} left out" if left_out else ""))
    return manifest


def _generate_clips(recipe: Recipe) -> None:
    """Draw the demo's clips that the recipe reads and that are not drawn yet."""
    roots = {corpus.root for corpus in recipe.corpora if corpus.reader == "demo"}
    if recipe.demo is None or not roots:
        return
    from dfray.demo import generate_clips

    (root,) = roots
    with stage("clips", total=1) as line:
        generate_clips(root, recipe.demo, recipe.seed, line.update)
        line.finish()


def _demo_videos(recipe: Recipe) -> pa.Table:
    """Return VIDEOS of the demo's clips, none of which is drawn for it."""
    from dfray.datasets.readers.demo_clips import video_rows
    from dfray.demo import clip_rows

    assert recipe.demo is not None
    clips, rows = list(clip_rows(recipe.demo, recipe.seed)), list[Row]()
    for corpus in recipe.corpora:
        if corpus.reader != "demo":
            continue
        listed = list(video_rows(corpus, Files(corpus.root), clips))
        require_methods(corpus, {row["method"] for row in listed if row["label"] == FAKE})
        rows += [
            {"kind": "video", "stride": 1, **row, "split": corpus.split or row["split"]}
            for row in listed
            if why_not_read(row, corpus) is None
        ]
    return VIDEOS.from_rows(rows)
