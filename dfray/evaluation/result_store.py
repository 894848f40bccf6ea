"""Files of an evaluation: face scores as Parquet, metrics and drops as JSON and Markdown."""

from __future__ import annotations

from dfray import storage
from dfray.evaluation.measure import EvaluationResult, EvaluationSet
from dfray.evaluation.summary import read_drops, write_summary
from dfray.models.bundle_description import DecisionRule
from dfray.tables import SCORES

SCORES_FILE = "scores.parquet"


def write_result(folder_uri: str, result: EvaluationResult) -> None:
    """Write the result's face scores, metrics and drops into the folder.

    Raises:
        StorageError: the folder cannot be written.
    """
    SCORES.write(result.face_scores, storage.join(folder_uri, SCORES_FILE))
    write_summary(folder_uri, result.metrics, result.drops)


def read_result(
    folder_uri: str, evaluation_set: EvaluationSet, decision_rule: DecisionRule
) -> EvaluationResult:
    """Return the result that `write_result` wrote for a model with this decision rule.

    Raises:
        StorageError: a file cannot be read.
    """
    section = evaluation_set.section
    scores = SCORES.read(storage.join(folder_uri, SCORES_FILE))
    videos = evaluation_set.video_scores(scores, section.split, decision_rule.video_rule)
    drops = read_drops(folder_uri) if section.post_processing else []
    return EvaluationResult(evaluation_set, decision_rule, scores, videos, drops)


def read_metrics_table(folder_uri: str) -> str:
    """Return the metrics and drops that `write_result` wrote, as Markdown."""
    return storage.read_bytes(storage.join(folder_uri, "metrics.md")).decode()
