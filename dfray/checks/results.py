"""Checks of what earlier stages have left: the trained model, the faces of a split, the figures."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from dfray.checks.finding import Finding
from dfray.checks.subject import Subject
from dfray.run_status import is_evaluated


def model(subject: Subject) -> Iterator[Finding]:
    """Yield the model that is not trained."""
    subject.run.require_model()
    yield from ()


def measured_faces(subject: Subject) -> Iterator[Finding]:
    """Yield the videos of the measured splits that have no faces yet: no part of a split is measured."""
    section, videos = subject.recipe.evaluation, subject.videos
    if videos is None:
        return
    splits = pa.array([section.split, *([section.fit_split] if section.is_fitted else [])])
    missing = subject.run.extracted(videos.filter(pc.is_in(videos["split"], splits))).missing
    if missing:
        yield Finding(
            f"{missing:,} videos of {' and '.join(splits.to_pylist())} have no faces yet.",
            "Run `dfray extract` with this recipe first.",
        )


def figures(subject: Subject) -> Iterator[Finding]:
    """Yield the figures that are missing, or of another evaluation than the recipe's."""
    run = subject.run
    run.require_model()
    run.folder.require("evaluation/metrics.json", "evaluate")
    if not is_evaluated(run):
        criteria, measured = run.recipe.evaluation.decision_criteria, run.folder.state().measured
        yield Finding(
            f"{run.folder.model} was not yet evaluated for {criteria}: its metrics are of {measured}.",
            "Run `dfray evaluate` with this recipe first.",
        )
