"""Manifests, readers of corpora, and the coverage of face extraction."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table, print_files, styled
from dfray.text import visible_line

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.datasets.manifest import Manifest
    from dfray.datasets.readers import Reader


def show_manifest(manifest: Manifest) -> None:
    """Print the counts of a manifest, the published counts, and the files with faults."""
    table = new_table("dataset", "split", "class", "videos", right=("videos",))
    for dataset, split, category, count in manifest.counts():
        table.add_row(dataset, split, category, f"{count:,}")
    console.print(table)
    if manifest.published:
        _show_published(manifest)
    console.print(
        f"{manifest.videos.num_rows:,} videos; {len(manifest.missing):,} missing; "
        f"{len(manifest.unreadable):,} cannot be opened ({manifest.opened:,} were tried)."
    )
    for sentence in manifest.sentences():
        console.print(visible_line(sentence), highlight=False)
    print_files("missing", manifest.missing)
    faults = [f"{video}: {reason}" for video, reason in manifest.unreadable.items()]
    print_files("cannot be opened", faults)


def _show_published(manifest: Manifest) -> None:
    numbers = ("found", "published", "share")
    table = new_table("dataset", "videos", *numbers, "published in", right=numbers)
    for row in manifest.comparisons():
        counts = f"{row.videos:,}", f"{row.published:,}", f"{row.share:.0%}"
        table.add_row(row.dataset, row.subset, *counts, row.source)
    console.print(table)


def show_readers(readers: Mapping[str, Reader]) -> None:
    """Print the name, corpus and expected layout of every reader."""
    for name, reader in readers.items():
        console.print(styled(f"[bold]{name}[/]"), f": {reader.title}", sep="", highlight=False)
        layout = textwrap.indent(f"\n{reader.layout}\n" if reader.layout else "", "    ")
        console.print(layout, highlight=False)


def show_coverage(summaries: pa.Table) -> None:
    """Print the number of videos, frames and faces of every outcome and reason, and of doubtful frames.

    Args:
        summaries: SUMMARIES of the extracted videos.
    """
    rows = summaries.select(["split", "status", "reason", "n_frames", "n_faces"]).to_pylist()
    numbers = ("videos", "frames", "faces")
    table = new_table("split", "outcome", "reason", *numbers, right=numbers)
    videos: Counter[tuple[str, str, str]] = Counter()
    frames: Counter[tuple[str, str, str]] = Counter()
    faces: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        key = (row["split"], row["status"], row["reason"] or "")
        videos[key] += 1
        frames[key] += row["n_frames"]
        faces[key] += row["n_faces"]
    for key in sorted(videos):
        table.add_row(*key, f"{videos[key]:,}", f"{frames[key]:,}", f"{faces[key]:,}")
    console.print(table)
    if n_doubtful := sum(filter(None, summaries["n_frames_doubtful"].to_pylist())):
        console.print(f"{n_doubtful:,} frames with a doubtful face, which was refused.")
