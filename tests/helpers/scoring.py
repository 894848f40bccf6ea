"""Scoring without actors, for tests of what is done with the scores.

An actor is a process that imports torch: six CPU-seconds. tests/evaluation/test_score.py and
test_post_processing.py hold that actors score as a plain loop does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest
import ray.data

from dfray import storage
from dfray.config import EvaluationSection
from dfray.evaluation import robustness, score
from dfray.evaluation.score import FaceScorer, plan_tasks
from dfray.faces.shards import FacesStore

start_actors = score.on_actors


def in_process(
    scorer: type[FaceScorer],
    faces: FacesStore,
    bundle_uri: str,
    split: str,
    section: EvaluationSection,
    **options: Any,
) -> ray.data.Dataset:
    """As `on_actors`, with one scorer in this process."""
    tasks = plan_tasks(faces, split)
    if not tasks:
        return start_actors(scorer, faces, bundle_uri, split, section, **options)
    made = scorer(storage.absolute(bundle_uri), section.batch_size, **options)
    rows = pa.concat_tables(
        made(pa.Table.from_pylist(tasks))
    )  # a list costs a worker for each table
    return ray.data.from_arrow(rows)


@contextmanager
def scoring_in_process() -> Iterator[None]:
    """Within the block, faces are scored in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (score, robustness):
            patch.setattr(module, "on_actors", in_process)
        yield
