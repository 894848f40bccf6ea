"""Mean of the video-level metrics over columns, with intervals: the figure that decides."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dfray.config import EvaluationSection
from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.bootstrap import CHUNK, draw, percentile_interval
from dfray.evaluation.names import mean_name
from dfray.evaluation.protocol import load_protocol
from dfray.evaluation.ranking_metrics import METRICS
from dfray.evaluation.scopes import Columns, Scope, ScopeScores
from dfray.tables import FAKE, REAL

if TYPE_CHECKING:
    from dfray.evaluation.metrics import MeanLevel


def mean_over_columns(
    videos: pa.Table, section: EvaluationSection, seed: int, *, threshold: float
) -> MeanLevel:
    """Return the mean over the columns of the section's protocol, or over the datasets.

    Args:
        videos: VIDEO_SCORES of the evaluated split.
        seed: of the bootstrap, which draws the videos of each dataset, class and method apart.
        threshold: the model's own.
    """
    from dfray.evaluation.metrics import Estimate, MeanLevel

    scored = videos.filter(is_scored(videos))
    protocol = load_protocol(section.protocol) if section.protocol else None
    columns = Columns.of(scored, protocol)
    scope, labels = columns.mean, scored.column("label").to_numpy()
    counts = {
        "columns": [column.name for column in columns.defined],
        "undefined": list(columns.undefined),
        "n_real": int(np.sum(labels[scope.videos] == REAL)) if scope else 0,
        "n_fake": int(np.sum(labels[scope.videos] == FAKE)) if scope else 0,
    }
    if scope is None:
        reason = "no dataset with scored videos of both classes"
        return MeanLevel(name=mean_name(0), reason=reason, **counts)
    scores = scored.column("fake_probability").to_numpy()
    ranked = ScopeScores.of(scope, scores, labels, threshold)
    resampled = _resampled(ranked, scored, scope, section, seed)
    estimates = {}
    for name, value in ranked.points().items():
        low, high = percentile_interval(resampled[name], section.confidence)
        estimates[name] = Estimate(value=value, low=low, high=high)
    share = sum(weight * float(np.mean(labels[mask] == FAKE)) for weight, mask in scope.parts)
    named = {"name": scope.name, "fakes_share": share}
    return MeanLevel.model_validate(named | counts | estimates)


def _resampled(
    ranked: ScopeScores, videos: pa.Table, scope: Scope, section: EvaluationSection, seed: int
) -> dict[str, np.ndarray]:
    """Return every metric of METRICS, float64 (R,), on resamples of the scope's videos."""
    of_scope = videos.filter(pa.array(scope.videos))
    kinds = zip(
        *(of_scope.column(c).to_pylist() for c in ("dataset", "label", "method")), strict=True
    )
    # Real videos count as one kind: fakes of each method are set against all of them.
    names = [f"{dataset}/{'' if label == REAL else method}" for dataset, label, method in kinds]
    strata = np.unique(names, return_inverse=True)[1]
    rng = np.random.default_rng([seed, zlib.crc32(scope.name.encode())])
    rows = max(1, CHUNK // len(strata))
    chunks = [ranked.metrics(drawn) for drawn in draw(strata, section.bootstrap, rows, rng)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in METRICS}
