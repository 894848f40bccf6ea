"""The report: one self-contained HTML file, for people; `summary` holds the same for machines.

It opens from disk and loads nothing: styles, scripts (plotly.js, 4.8 MB) and pictures are inside, and
its content security policy forbids the network. Every string from outside is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from markupsafe import Markup

from dfray import storage
from dfray.config import UNFITTED_THRESHOLD
from dfray.evaluation import report_charts as charts
from dfray.evaluation.aggregate import NOT_EXTRACTED, VIDEO_SCORES, is_scored
from dfray.evaluation.coverage import Coverage, Reason
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.metrics import Metrics
from dfray.evaluation.mistakes import Mistake
from dfray.evaluation.names import VIDEO_RULES
from dfray.evaluation.ranking_metrics import METRICS
from dfray.evaluation.robustness import PostProcessingDrop
from dfray.nested import flatten
from dfray.pages.page import Plot, assets, plot, template_environment
from dfray.tables import FAKE, REAL, SCORES

NAMES = {
    "ok": "with faces",
    "faces": "with faces",
    "no_face": "no face",
    "unreadable": "unreadable",
    "crashed": "crashed the decoder",
    "timed_out": "hung",
    NOT_EXTRACTED: "not extracted",
    "decode_error": "not decodable",
}
STATUSES = ("ok", "no_face", "unreadable", "crashed", "timed_out", NOT_EXTRACTED)
OUTCOMES = ("faces", "no_face", "decode_error")
MAX_ROWS = 200
"""Rows of the tables that grow with the corpus: reasons, and videos without a score."""


@dataclass(frozen=True)
class Card:
    """A headline figure, its interval, and what it means in plain words."""

    name: str
    value: str
    interval: str
    sentence: str


def write_report(
    path_uri: str,
    *,
    title: str,
    metrics: Metrics,
    video_scores: pa.Table,
    coverage: list[Coverage],
    worst: Sequence[Mistake],
    provenance: dict[str, str],
    recipe: dict[str, Any] | None = None,
    face_scores: pa.Table | None = None,
    history: Sequence[dict[str, float]] = (),
    drops: Sequence[PostProcessingDrop] = (),
    threshold_origin: str = "",
    audit: Markup | str = "",
) -> None:
    """Write the HTML report to `path_uri`, atomically.

    Args:
        metrics: from `evaluate` on the same scores.
        video_scores: VIDEO_SCORES of the evaluated split.
        coverage: counts of all splits.
        worst: from `worst_mistakes`.
        recipe: the resolved recipe, as it goes into YAML; None: there is none.
        face_scores: SCORES of the same; None: they are not known.
        history: per epoch {epoch, lr, selection_loss, *_loss and its terms, ...}, as training records it;
            may be empty.
        drops: of AUC under post-processing, from `measure_drops`; none: not measured.
        audit: sections of the audit of the videos, as HTML; empty: there is none.
        provenance: what made the model and the scores (fingerprints, versions); may be nested.
        threshold_origin: where the model's threshold comes from, as `DecisionRule.threshold_origin`.

    Raises:
        StorageError: the file cannot be written.
    """
    videos = VIDEO_SCORES.conform(video_scores, "video scores")
    faces = SCORES.conform(face_scores or SCORES.from_rows([]), "scores")
    page = template_environment("dfray.evaluation").get_template("report.html.jinja")
    html = page.render(
        title=title,
        metrics=metrics,
        columns=METRICS,
        axis_from=_axis_from(metrics),
        has_faces=face_scores is not None,
        n_faces=faces.num_rows or sum(videos["n_faces"].to_pylist()),
        cards=headline_cards(metrics),
        curves=_curves(videos, faces, metrics),
        training=_training(history),
        rule=VIDEO_RULES[metrics.video_rule],
        threshold_origin=threshold_origin,
        papers_threshold=UNFITTED_THRESHOLD,
        drops=drops,
        drops_chart=_drops_chart(drops),
        audit=audit,
        recipe=recipe and yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True),
        provenance=[(key, str(value)) for key, value in flatten(provenance)],
        **_mistakes(worst, videos, metrics.threshold),
        **_coverage(coverage, videos),
        **assets(),
    )
    storage.write_bytes(html.encode(), path_uri)


def headline_cards(metrics: Metrics) -> list[Card]:
    """The video-level figures, as means over columns if there are several, and coverage, as cards."""
    mean, counts = metrics.mean_of_several, metrics.overall.counts
    level = mean or metrics.overall.video
    fakes_share = level.n_fake / max(1, level.n_real + level.n_fake)
    if mean is not None and mean.fakes_share is not None:
        fakes_share = mean.fakes_share
    cards = []
    for name, metric in METRICS.items():
        estimate: Estimate | None = getattr(level, name)
        if estimate is None:
            sentence = f"There is {level.reason}."
        else:
            sentence = metric.sentence.format(
                percent=100 * estimate.value, threshold=metrics.threshold, fakes_share=fakes_share
            )
        title = f"{metric.title}, {mean.name}" if mean else metric.title
        cards.append(_card(title, estimate, sentence))
    lost = ", ".join(
        f"{number} {NAMES[name]}" for name in STATUSES[1:] if (number := getattr(counts, name))
    )
    share = "–" if counts.coverage is None else f"{100 * counts.coverage:.1f} %"
    of = f"{counts.scored:,} of {counts.videos:,} videos"
    sentence_on_rest = f"The others have no score: {lost}." if lost else "Every video has a score."
    return [*cards, Card("Coverage", share, of, sentence_on_rest)]


def _card(title: str, estimate: Estimate | None, sentence: str) -> Card:
    if estimate is None:
        return Card(title, "–", "not defined", sentence)
    interval = f"{estimate.low:.3f} – {estimate.high:.3f}"
    return Card(title, f"{estimate.value:.3f}", interval, sentence)


def _axis_from(metrics: Metrics) -> float:
    """Return the start of the axis of AUC whiskers: 0.4, or the tenth below the lowest end."""
    groups = [metrics.overall, *metrics.datasets, *metrics.methods, *metrics.identity_groups]
    levels = [level for group in groups for level in (group.video, group.frame)]
    lowest = min((level.auc.low for level in levels if level.auc), default=1.0)
    return min(0.4, math.floor(10 * lowest) / 10)


def _curves(videos: pa.Table, faces: pa.Table, metrics: Metrics) -> list[Plot]:
    scored = videos.filter(is_scored(videos))
    plots = []
    methods = {(str(g.dataset), str(g.method)) for g in metrics.methods if g.video.auc}
    if metrics.overall.video.auc:
        plots.append(
            plot(
                "ROC at video level",
                "AUC beside each name. Methods against the real videos of their dataset.",
                charts.roc_chart(videos, methods),
            )
        )
    if faces.num_rows >= charts.MIN_POINTS:
        plots.append(
            plot(
                "Faces in the embedding space",
                f"Up to {charts.MAX_POINTS:,} faces, drawn at random, on the two principal "
                "components of the model's embedding.",
                charts.projection_chart(faces, metrics.seed),
            )
        )
    for item, table in (("videos", scored), ("faces", faces)):
        if table.num_rows:
            scores, labels = (table.column(c).to_numpy() for c in ("fake_probability", "label"))
            caption = f"Each bar is a share of its class; {item} right of the line are called fake."
            figure = charts.histogram_chart(scores, labels, metrics.threshold, item)
            plots.append(plot(f"Scores of {item}", caption, figure))
    return plots


def _training(history: Sequence[dict[str, float]]) -> list[Plot]:
    if not history:
        return []
    caption = "Per epoch; the dashed line marks the epoch whose weights were kept."
    return [plot(title, caption, figure) for title, figure in charts.training_charts(history)]


def _drops_chart(drops: Sequence[PostProcessingDrop]) -> Plot | None:
    if not drops:
        return None
    caption = "Every video's score is the mean over its faces, each changed and scored again."
    return plot("AUC under post-processing", caption, charts.drops_chart(drops))


def _mistakes(worst: Sequence[Mistake], videos: pa.Table, threshold: float) -> dict[str, Any]:
    scored = videos.filter(is_scored(videos))
    called_fake = scored.column("fake_probability").to_numpy() >= threshold
    is_fake = scored.column("label").to_numpy() == FAKE
    return {
        "false_alarms": [mistake for mistake in worst if mistake.label == REAL],
        "missed": [mistake for mistake in worst if mistake.label == FAKE],
        "n_false_alarms": int(np.sum(called_fake & ~is_fake)),
        "explained": any(mistake.maps for mistake in worst),
        "unexplained": next((m.unexplained for m in worst if m.unexplained), None),
        "n_missed": int(np.sum(~called_fake & is_fake)),
    }


def _coverage(coverage: list[Coverage], videos: pa.Table) -> dict[str, Any]:
    reasons: list[tuple[str, Reason]] = [
        (c.split, reason) for c in coverage for reason in c.reasons
    ]
    reasons.sort(key=lambda pair: -pair[1].count)
    unscored = videos.filter(pa.array(~is_scored(videos)))
    return {
        "coverage": coverage,
        "names": NAMES,
        "statuses": STATUSES,
        "outcomes": OUTCOMES,
        "reasons": reasons[:MAX_ROWS],
        "n_reasons_left_out": max(0, len(reasons) - MAX_ROWS),
        "unscored": unscored.slice(0, MAX_ROWS).to_pylist(),
        "n_unscored": unscored.num_rows,
    }
