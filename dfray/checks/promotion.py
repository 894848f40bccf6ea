"""Checks of gates and registry: what a promotion or a registration refuses, whatever the model is."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc

from dfray.batches.labels import datasets_of_both, lacking_classes
from dfray.checks.finding import Finding
from dfray.checks.subject import Subject
from dfray.checks.videos import ONE_SOURCE
from dfray.config import GatesSection
from dfray.errors import DfrayError
from dfray.evaluation.protocol import load_protocol
from dfray.tracking.client import require_reachable


def gates(subject: Subject) -> Iterator[Finding]:
    """Yield each gate that no model can pass on the split's videos."""
    section, evaluation = subject.recipe.registry.gates, subject.recipe.evaluation
    if section.max_post_processing_drop is not None and not evaluation.post_processing:
        yield Finding(
            "registry.gates.max_post_processing_drop needs a drop, and evaluation.post_processing "
            "names no kind to measure it under.",
            "Name kinds there, or set the gate to null.",
        )
    if (videos := subject.videos) is not None:
        of_split = videos.filter(pc.equal(videos["split"], evaluation.split))
        yield from _counts(of_split, evaluation.split, section)
        yield from _coverage(of_split, set(subject.manifest.unreadable), section.min_coverage)


def protocols(subject: Subject) -> Iterator[Finding]:
    """Yield each protocol that there is none of, or that is not valid."""
    recipe = subject.recipe
    named = [("registry.gates.protocols", name) for name in recipe.registry.gates.protocols]
    if recipe.evaluation.protocol:
        named.append(("evaluation.protocol", recipe.evaluation.protocol))
    for key, name in named:
        try:
            load_protocol(name)
        except DfrayError as error:
            yield Finding.of(error.at(key))


def _counts(videos: pa.Table, split: str, section: GatesSection) -> Iterator[Finding]:
    if videos.num_rows < section.min_videos:
        yield Finding(
            f"registry.gates.min_videos: {section.min_videos} are required, and split {split} has "
            f"{videos.num_rows}.",
            "Add videos to that split, or lower the gate.",
        )
    if lacks := lacking_classes(videos, (split,)).get(split):
        yield Finding(
            f"registry.gates.min_auc: split {split} has no {' and no '.join(lacks)} video, so AUC and "
            "balanced accuracy cannot be measured.",
            "Add such videos to that split, or name another one in evaluation.split.",
        )
    elif not datasets_of_both(videos, split):
        yield Finding(
            f"registry.gates.min_auc: no dataset of split {split} has real and fake videos, and AUC and "
            "balanced accuracy are means over datasets.",
            ONE_SOURCE,
        )


def _coverage(videos: pa.Table, unreadable: set[str], required: float) -> Iterator[Finding]:
    ids = videos["video_id"].to_pylist()
    lost = sum(video in unreadable for video in ids)
    if ids and Fraction(len(ids) - lost, len(ids)) < Fraction(required).limit_denominator(10**6):
        yield Finding(
            f"registry.gates.min_coverage: {required:.1%} is required, and {lost:,} of {len(ids):,} videos "
            "cannot be opened.",
            "Replace or remove these files, which `dfray manifest check` lists, or lower the gate.",
        )


def model_name(subject: Subject) -> Iterator[Finding]:
    """Yield the name that MLflow refuses for a registered model."""
    name = subject.recipe.registry.model_name
    is_path = name in (".", "..") or name != posixpath.normpath(name)
    if not name.strip() or is_path or set("/:") & set(name):
        yield Finding(
            f"registry.model_name {name!r} is no name that MLflow accepts.",
            "Use letters, digits, dots and dashes, without / and : in it.",
        )


def tracking(subject: Subject) -> Iterator[Finding]:
    """Yield the tracking server or database that cannot be used."""
    require_reachable(subject.run.tracking_uri)
    yield from ()
