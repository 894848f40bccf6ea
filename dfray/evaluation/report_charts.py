"""The report's charts, as plotly figures that carry no more points than a screen can show.

Every string from outside is escaped, since plotly reads a subset of HTML in labels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa

from dfray.evaluation.aggregate import is_scored
from dfray.pages.style import DASHES, LINES, add_mark, styled
from dfray.tables import FAKE, REAL

if TYPE_CHECKING:
    from dfray.evaluation.robustness import PostProcessingDrop

COLOURS = {"real": "#2389C9", "fake": "#E0661A"}
_CATEGORIES = {
    "real": ("real", "circle", COLOURS["real"]),
    "FS": ("face swap", "triangle-up", COLOURS["fake"]),
    "RE": ("reenactment", "diamond", "#CC79A7"),
    "TF": ("talking face", "square", "#2E9E6B"),
    "fake": ("fake of unknown kind", "x", "#7A5CC0"),
}
"""Category -> name, symbol and colour of its points."""

BINS = 40
COLLECTION_BINS = 20
MAX_CURVE_POINTS = 400
MIN_POINTS, MAX_POINTS = 3, 2000
"""Faces in the projection: fewer show nothing; more are drawn at random from all that were scored."""


def roc_chart(videos: pa.Table, methods: Collection[tuple[str, str]]) -> go.Figure:
    """ROC curves at video level: overall, and methods against the real videos of their dataset.

    Args:
        videos: VIDEO_SCORES; those without a score do not enter.
        methods: (dataset, method) of those that have enough videos for a curve.
    """
    scored = videos.filter(is_scored(videos))
    score = scored.column("fake_probability").to_numpy()
    label = scored.column("label").to_numpy()
    dataset, method = (np.asarray(scored.column(c).to_pylist(), str) for c in ("dataset", "method"))
    figure = go.Figure()
    _add_diagonal(figure)
    _add_curve(figure, label, score, "overall", {"color": "#6b7280", "width": 3.5})
    for number, (corpus, fake) in enumerate(sorted(methods)):
        mask = (dataset == corpus) & ((label == REAL) | (method == fake))
        line = {"color": LINES[number % len(LINES)], "width": 2, "dash": _dash(number)}
        name = fake if len(set(dataset)) == 1 else f"{corpus} / {fake}"
        _add_curve(figure, label[mask], score[mask], escape(name), line)
    figure.update_xaxes(title="real videos called fake (false positive rate)", range=[-0.01, 1])
    figure.update_yaxes(title="fakes found (true positive rate)", range=[0, 1])
    styled(figure, height=430)
    inside = {"x": 0.99, "xanchor": "right", "y": 0.02, "yanchor": "bottom", "orientation": "v"}
    figure.update_layout(margin_t=18, legend=inside)
    return figure


def histogram_chart(
    scores: np.ndarray, labels: np.ndarray, threshold: float, item: str
) -> go.Figure:
    """Return the histogram of scores of real and fake items, as shares of each class.

    Args:
        scores: float (M,); labels: int (M,).
        item: what is counted, in the plural: videos or faces.
    """
    edges = np.linspace(0, 1, BINS + 1)
    figure = go.Figure()
    for name, label in (("real", REAL), ("fake", FAKE)):
        values = np.clip(scores[labels == label], 0, 1)
        counts = np.histogram(values, edges)[0]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts / max(1, len(values)),
            width=1 / BINS,
            customdata=np.stack([edges[:-1], edges[1:], counts], axis=1),
            name=f"{name} ({len(values):,})",
            marker={"color": COLOURS[name], "line_width": 0},
            opacity=0.62,
            hovertemplate=f"{name}: %{{customdata[2]:,}} {item} (%{{y:.1%}})<br>"
            "score %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
        )
    add_mark(figure, threshold, f"threshold {threshold:.4g}")
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title="fake probability", range=[0, 1])
    figure.update_yaxes(title=f"share of the class's {item}", tickformat=".0%")
    figure.update_yaxes(autorangeoptions={"clipmax": 1.0})
    return styled(figure, height=340)


def property_chart(values: dict[str, np.ndarray], name: str) -> go.Figure:
    """Return the histogram of one property of videos for each label, on common bins.

    Args:
        values: "real" and "fake" -> float (M,), a value for each video; not both empty.
        name: of the property, with its unit.
    """
    edges = np.histogram_bin_edges(np.concatenate(list(values.values())), COLLECTION_BINS)
    figure = go.Figure()
    for label, of_label in values.items():
        counts = np.histogram(of_label, edges)[0]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts / max(1, len(of_label)),
            width=(edges[1] - edges[0]) * 0.96,
            customdata=np.stack([edges[:-1], edges[1:], counts], axis=1),
            name=f"{label} ({len(of_label):,})",
            marker={"color": COLOURS[label], "line_width": 0},
            opacity=0.62,
            hovertemplate=f"{label}: %{{customdata[2]:,}} videos (%{{y:.1%}})<br>"
            "%{customdata[0]:.4g} to %{customdata[1]:.4g}<extra></extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title=name)
    figure.update_yaxes(title="share of the label's videos", tickformat=".0%")
    figure.update_yaxes(autorangeoptions={"clipmax": 1.0})
    return styled(figure, height=320)


def drops_chart(drops: Sequence[PostProcessingDrop]) -> go.Figure:
    """AUC over the five strengths of each kind of post-processing, from none at the left."""
    figure = go.Figure()
    for number, drop in enumerate(drops):
        figure.add_scatter(
            x=list(range(len(drop.aucs) + 1)),
            y=[drop.clean, *drop.aucs],
            customdata=["none", *(f"{drop.unit}: {strength:g}" for strength in drop.strengths)],
            mode="lines+markers",
            name=drop.kind,
            line={"color": LINES[number % len(LINES)], "width": 2},
            marker={"size": 7, "symbol": number},
            hovertemplate="%{customdata}<br>AUC %{y:.3f}<extra>%{fullData.name}</extra>",
        )
    steps = list(range(max(len(drop.aucs) for drop in drops) + 1))
    figure.update_xaxes(
        title="strength", tickvals=steps, ticktext=["none", "mildest", "2", "3", "4", "harshest"]
    )
    lowest = min(auc for drop in drops for auc in (drop.clean, *drop.aucs))
    figure.update_yaxes(title="AUC at video level", range=[min(0.45, lowest - 0.02), 1])
    return styled(figure, height=360)


def projection_chart(scores: pa.Table, seed: int) -> go.Figure:
    """The embeddings of up to MAX_POINTS faces on their two principal components.

    Args:
        scores: SCORES.
        seed: of the choice of faces.
    """
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(scores.num_rows)[:MAX_POINTS])
    rows = scores.take(drawn)
    embeddings = np.asarray(rows.column("embedding").to_pylist(), np.float64)
    pca = PCA(min(2, *embeddings.shape), svd_solver="full")
    with np.errstate(invalid="ignore"):  # faces all alike have no variance to share out
        points = np.pad(pca.fit_transform(embeddings), ((0, 0), (0, 1)))[:, :2]
    shares = np.pad(np.nan_to_num(pca.explained_variance_ratio_), (0, 1))[:2]
    category = np.asarray(rows.column("category").to_pylist(), str)
    figure = go.Figure()
    for kind, (name, symbol, colour) in _CATEGORIES.items():
        of_kind = np.flatnonzero(category == kind)
        if len(of_kind):
            figure.add_scatter(
                x=points[of_kind, 0].astype(np.float32),
                y=points[of_kind, 1].astype(np.float32),
                mode="markers",
                name=f"{name} ({len(of_kind):,})",
                marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.65},
                text=[_face_label(row) for row in rows.take(of_kind).to_pylist()],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.update_xaxes(title=f"component 1 ({shares[0]:.0%} of the variance)")
    figure.update_yaxes(title=f"component 2 ({shares[1]:.0%})")
    return styled(figure, height=430)


_OF_VIDEOS = ("val_auc", "val_average_precision")


def training_charts(history: Sequence[dict[str, float]]) -> list[tuple[str, go.Figure]]:
    """(title, figure) of losses and their terms, metrics of validation videos, learning rate, per epoch.

    What was not recorded has no figure.

    The epoch with the lowest `selection_loss`, which is the one kept, is marked.
    """
    names = list(dict.fromkeys(name for row in history for name in row))
    losses = _distinct(history, [name for name in names if _is_loss(name)])
    rows = [row for row in history if row.get("selection_loss") is not None]
    charts = (
        ("Loss", "loss", losses),
        (
            "Validation videos, mean over datasets",
            "",
            [name for name in names if name in _OF_VIDEOS],
        ),
        ("Learning rate", "learning rate", [name for name in names if name == "lr"]),
    )
    figures = []
    for title, unit, columns in charts:
        if columns:
            figure = _lines(history, columns)
            figure.update_yaxes(title=unit, rangemode="tozero", exponentformat="power")
            if set(columns) <= set(_OF_VIDEOS):
                figure.update_yaxes(autorangeoptions={"clipmax": 1.0})
            if rows:
                best = min(rows, key=lambda row: row["selection_loss"])
                add_mark(figure, best["epoch"], "kept")
            figures.append((title, styled(figure, height=320)))
    return figures


def _is_loss(name: str) -> bool:
    """Return True for a loss or a term of one; the share of active triplets is none."""
    is_metric = name.endswith("_active_triplets") or name in _OF_VIDEOS
    return name.startswith(("train_", "val_")) and not is_metric


def _distinct(history: Sequence[dict[str, float]], names: list[str]) -> list[str]:
    """`names` without those that are 0 in every epoch or equal an earlier one: terms left out."""
    names_by_values: dict[tuple[Any, ...], str] = {}
    for name in names:
        values = tuple(row.get(name) for row in history)
        if any(values):
            names_by_values.setdefault(values, name)
    return list(names_by_values.values())


def _lines(history: Sequence[dict[str, float]], columns: list[str]) -> go.Figure:
    """A line over epochs for each of `columns`."""
    figure = go.Figure()
    for number, name in enumerate(columns):
        rows = [row for row in history if row.get(name) is not None]
        figure.add_scatter(
            x=[row["epoch"] for row in rows],
            y=[row[name] for row in rows],
            mode="lines+markers",
            name=escape(name.replace("_", " ")),
            line={"color": LINES[-1 - number % len(LINES)], "width": 2, "dash": _dash(number)},
            marker={"size": 6, "symbol": number},
            hovertemplate="epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
        )
    apart = max(1, len(history) // 10)  # whole epochs, or two ticks would read alike
    return figure.update_xaxes(title="epoch", tickformat="d", dtick=apart)


def _dash(number: int) -> str:
    """Of a chart's line: another one as soon as the colours begin again."""
    return DASHES[number // len(LINES) % len(DASHES)]


def _face_label(row: dict[str, Any]) -> str:
    return (
        f"{escape(row['video_id'])}<br>{row['time_s']:.1f} s, face {row['face_index']}: "
        f"{row['fake_probability']:.3f}"
    )


def _add_diagonal(figure: go.Figure) -> None:
    line = {"color": "#9ca3af", "width": 1, "dash": "dot"}
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False
    )


def _add_curve(
    figure: go.Figure, label: np.ndarray, score: np.ndarray, name: str, line: dict[str, Any]
) -> None:
    """One ROC curve, thinned to MAX_CURVE_POINTS; nothing where a class is missing."""
    from sklearn.metrics import roc_auc_score, roc_curve

    if len(np.unique(label)) < 2:
        return
    fpr, tpr, thresholds = roc_curve(label, score)
    points = np.linspace(0, len(fpr) - 1, min(len(fpr), MAX_CURVE_POINTS)).round().astype(int)
    figure.add_scatter(
        x=fpr[points],
        y=tpr[points],
        customdata=np.minimum(thresholds[points], 1),
        mode="lines",
        cliponaxis=False,
        line=line,
        name=f"{name} · {roc_auc_score(label, score):.3f}",
        hovertemplate="%{y:.1%} of fakes found at %{x:.1%} false alarms<br>"
        f"threshold %{{customdata:.3f}}<extra>{name}</extra>",
    )
