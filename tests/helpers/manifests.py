"""Manifests of single corpora, and what tests look at in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dfray.config import CorpusSection
from dfray.datasets.manifest import Manifest, build_manifest


def read(name: str, root: Path, **more: Any) -> Manifest:
    return build_manifest([CorpusSection(reader=name, root=str(root), **more)], opened=0)


def rows(manifest: Manifest) -> dict[str, dict]:
    return {row["video_id"]: row for row in manifest.videos.to_pylist()}


def classes(manifest: Manifest) -> dict[tuple[str, str], int]:
    return {(split, category): count for _, split, category, count in manifest.counts()}
