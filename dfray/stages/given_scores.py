"""Evaluation of scores that are in a file: of `dfray score --out`, or of another detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dfray
from dfray import storage
from dfray.config import EvaluationSection
from dfray.datasets.attributes import attributes_of
from dfray.errors import UserError
from dfray.notes import warn
from dfray.run_context import RunContext

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.evaluation.given_scores import GivenScores
    from dfray.evaluation.given_truth import Truths
    from dfray.evaluation.metrics import Metrics

VIDEOS_FILE = "video_scores.parquet"
_N_WORST = 8


@dataclass(frozen=True)
class GivenEvaluation:
    """Figures of scores in a file.

    Attributes:
        report: path or URI of the HTML report; metrics.json, metrics.md and VIDEOS_FILE lie beside it.
    """

    metrics: Metrics
    report: str


def evaluate_scores(
    scores: str,
    labels: str | None = None,
    *,
    run: RunContext | None = None,
    name: str | None = None,
    threshold: float | None = None,
    to: str | None = None,
) -> GivenEvaluation:
    """Set the scores in a file against the truth, write the report and return the figures.

    No model is needed, no MLflow and no Ray.

    Args:
        scores: path or URI of a file as `given_scores` describes.
        labels: path or URI of a file as `given_truth` describes; None: the manifest of `run` is the truth.
        run: gives the settings of the evaluation.
        name: of the detector in the report; by default the one that the scores state.
        threshold: fake at or above it; by default the one that the scores state.
        to: folder of the results; by default one beside the scores.

    Raises:
        UserError: there is no truth, a file cannot be used, or no video has both score and label.
        StorageError: a file cannot be read or written.
    """
    from dfray.evaluation.aggregate import VIDEO_SCORES
    from dfray.evaluation.given_scores import read_given_scores
    from dfray.evaluation.matched_scores import match_scores
    from dfray.evaluation.metrics import compute_metrics
    from dfray.evaluation.summary import write_summary
    from dfray.tables import SCORES

    section = run.recipe.evaluation if run else EvaluationSection()
    given = read_given_scores(scores, threshold)
    matched = match_scores(given, _truths(labels, run, section.split), section.split)
    for mismatch in matched.mismatches:
        warn(mismatch)
    metrics = compute_metrics(
        matched.videos,
        SCORES.from_rows([]),
        section,
        run.recipe.seed if run else 0,
        threshold=given.threshold,
        attributes=attributes_of(run.manifest) if run and labels is None else None,
        copies=matched.copies,
    )
    folder = storage.absolute(to or f"{scores.rpartition('.')[0]}.evaluation")
    write_summary(folder, metrics)
    VIDEO_SCORES.write(matched.videos, storage.join(folder, VIDEOS_FILE))
    report = storage.join(folder, "report.html")
    origin = {
        "detector": name or given.detector,
        "scores": given.uri,
        "truth": labels or (run.runs.manifest if run else ""),
        "threshold": f"{given.threshold:.6g}, {given.threshold_origin}",
        "did not match": " ".join(matched.mismatches) or "nothing",
        "dfray": dfray.__version__,
    }
    _write_report(report, given, matched.videos, metrics, origin)
    return GivenEvaluation(metrics, report)


def _truths(labels: str | None, run: RunContext | None, split: str) -> Truths:
    from dfray.evaluation.given_truth import read_labels, truths_of_manifest

    if labels is not None:
        return read_labels(labels, split)
    if run is None:
        raise UserError(
            "--scores has no truth to be set against.",
            "Add --labels FILE, a list with the columns `uri` and `label`, or name a recipe: its corpora "
            "state the truth.",
        )
    return truths_of_manifest(run.manifest, split, run.runs.manifest)


def _write_report(
    uri: str,
    given: GivenScores,
    videos: pa.Table,
    metrics: Metrics,
    origin: dict[str, str],
) -> None:
    from dfray.evaluation.coverage import coverage_of_videos
    from dfray.evaluation.mistakes import worst_mistakes
    from dfray.evaluation.report import write_report

    write_report(
        uri,
        title=f"{origin['detector']}: scores of {given.uri.rpartition('/')[2]}",
        threshold_origin=given.threshold_origin,
        metrics=metrics,
        video_scores=videos,
        coverage=[coverage_of_videos(videos, metrics.split)],
        worst=worst_mistakes(videos, None, metrics.split, _N_WORST, threshold=given.threshold),
        provenance=origin,
    )
