"""A protocol: which datasets are measured in which scenario, and what its table's columns average.

Protocols are data (jobs/protocols). A dataset that was not measured leaves its column empty, and an average
over fewer parts than the protocol names is marked: no mean hides what is missing from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dfray.config import UNFITTED_THRESHOLD
from dfray.documents import read_yaml, validated
from dfray.evaluation.aggregate import VIDEO_SCORES, is_scored
from dfray.installed_files import find_file, installed_names
from dfray.tables import FAKE, REAL


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProtocolColumn(_Part):
    """One figure of the table, over the videos of a dataset or as the mean over its methods."""

    name: str
    dataset: str = Field(description="as in the manifest")
    over: Literal["videos", "methods"] = Field(
        "videos", description="methods: the mean over fake methods, each against all real videos"
    )
    category: Literal["FS", "RE", "TF"] | None = Field(None, description="of these methods only")
    n_methods: int | None = Field(None, description="methods that a complete figure has")
    n_real: int | None = Field(None, description="real videos that a complete figure has")
    by_method: bool = Field(False, description="also shown method by method")


class Scenario(_Part):
    name: str
    columns: list[ProtocolColumn]
    average: str | None = Field(
        None, description="name of the mean over the columns, if there is one"
    )
    collections: bool = Field(False, description="show the statistics of its datasets")


class PublishedRow(_Part):
    """Published metrics of one method, in percent, in the order of `Protocol.headings`.

    A metric that the paper does not have is None.
    """

    name: str
    auc: list[float]
    balanced_accuracy: list[float] | None = None


class Published(_Part):
    source: str
    notes: list[str] = []
    rows: list[PublishedRow]


class Protocol(_Part):
    name: str
    title: str
    source: str
    scenarios: list[Scenario]
    published: Published | None = None

    @property
    def headings(self) -> list[tuple[str, str]]:
        """(scenario, column) of every figure, averages included, in the order of the table."""
        return [
            (scenario.name, name)
            for scenario in self.scenarios
            for name in [c.name for c in scenario.columns]
            + ([scenario.average] if scenario.average else [])
        ]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """(scenario, number of its headings) of every scenario."""
        return [(each.name, len(each.columns) + bool(each.average)) for each in self.scenarios]

    @property
    def firsts(self) -> set[int]:
        """Indices of the first heading of each scenario."""
        ends = accumulate(count for _, count in self.spans)
        return {0, *ends} - {len(self.headings)}

    @model_validator(mode="after")
    def _published_rows_fit(self) -> Protocol:
        for row in self.published.rows if self.published else ():
            for figures in (row.auc, row.balanced_accuracy):
                if figures is not None and len(figures) != len(self.headings):
                    raise ValueError(
                        f"published row {row.name!r} has {len(figures)} figures for "
                        f"{len(self.headings)} columns"
                    )
        return self


@dataclass(frozen=True)
class ColumnMetrics:
    """AUC and balanced accuracy (0..1) of one column; None where they are not defined.

    Attributes:
        balanced_accuracy: at UNFITTED_THRESHOLD, the papers' 0.5, as published figures are.
        own_balanced_accuracy: at the model's own threshold.
        n_real, n_fake: scored videos.
        n_unscored: videos without a score, such as those without a face.
        note: what the figure lacks, or why there is none; None: it is complete.
    """

    auc: float | None
    balanced_accuracy: float | None
    own_balanced_accuracy: float | None = None
    n_real: int = 0
    n_fake: int = 0
    n_unscored: int = 0
    note: str | None = None


def load_protocol(name_or_path: str) -> Protocol:
    """A protocol from a YAML file, or one that comes with dfray by its name.

    Raises:
        UserError: there is none, or it is not valid.
    """
    path = find_file("protocol", name_or_path)
    value = read_yaml(path).value
    hint = "See jobs/protocols/paper.yaml."
    return validated(Protocol, value, f"{path} is no protocol", hint=hint)


def named_protocols() -> list[str]:
    return installed_names("protocol")


def apply_protocol(protocol: Protocol, videos: pa.Table, threshold: float) -> list[ColumnMetrics]:
    """The figures of one model, in the order of `protocol.headings`.

    Args:
        videos: VIDEO_SCORES of the evaluated split, of all datasets there are.
        threshold: the model's own; a video is called fake at or above it.
    """
    scored = _Videos(videos, threshold)
    figures = []
    for scenario in protocol.scenarios:
        columns = [_column(column, scored) for column in scenario.columns]
        figures += columns
        if scenario.average:
            figures.append(_mean(columns, len(columns), "columns"))
    return figures


def method_metrics(
    protocol: Protocol, videos: pa.Table, threshold: float
) -> list[tuple[str, str, ColumnMetrics]]:
    """(column, method, figure) of every method of the columns that are also shown by method."""
    scored = _Videos(videos, threshold)
    return [
        (column.name, method, scored.figure(column.dataset, method))
        for scenario in protocol.scenarios
        for column in scenario.columns
        if column.by_method
        for method in scored.methods(column.dataset)
    ]


class _Videos:
    """VIDEO_SCORES as arrays."""

    def __init__(self, videos: pa.Table, threshold: float) -> None:
        table = VIDEO_SCORES.conform(videos, "video scores")
        self.threshold = threshold
        self.scored = is_scored(table)
        self.score = table.column("fake_probability").to_numpy()
        self.label = table.column("label").to_numpy()
        self.dataset, self.method, self.category = (
            np.asarray(table.column(name).to_pylist(), str)
            for name in ("dataset", "method", "category")
        )

    def methods(self, dataset: str, category: str | None = None) -> list[str]:
        """The fake methods of a dataset, of one category or of all."""
        mask = (self.dataset == dataset) & (self.label == FAKE)
        if category:
            mask &= self.category == category
        return [str(method) for method in np.unique(self.method[mask])]

    def n_real(self, dataset: str) -> int:
        return int(np.sum((self.dataset == dataset) & (self.label == REAL)))

    def n_unscored(self, dataset: str, methods: list[str]) -> int:
        """Videos without a score among the real ones of a dataset and the fakes of `methods`."""
        mask = (self.dataset == dataset) & ((self.label == REAL) | np.isin(self.method, methods))
        return int(np.sum(mask & ~self.scored))

    def figure(self, dataset: str, method: str | None = None) -> ColumnMetrics:
        """Over all videos of a dataset, or of its real ones and the fakes of one method."""
        from sklearn.metrics import roc_auc_score

        mask = self.dataset == dataset
        if not mask.any():
            return ColumnMetrics(None, None, note=f"no video of {dataset}")
        if method is not None:
            mask &= (self.label == REAL) | (self.method == method)
        label, score = self.label[mask & self.scored], self.score[mask & self.scored]
        fake = label == FAKE
        counts = (int(np.sum(~fake)), int(np.sum(fake)), int(np.sum(mask & ~self.scored)))
        if not (counts[0] and counts[1]):
            kind = "fake" if counts[0] else "real"
            note = f"{dataset} has no scored {kind} video"
            return ColumnMetrics(None, None, None, *counts, note=note)
        at_half, at_own = (
            float((np.mean(score[fake] >= threshold) + np.mean(score[~fake] < threshold)) / 2)
            for threshold in (UNFITTED_THRESHOLD, self.threshold)
        )
        return ColumnMetrics(float(roc_auc_score(label, score)), at_half, at_own, *counts)


def _column(column: ProtocolColumn, videos: _Videos) -> ColumnMetrics:
    if column.over == "videos":
        figure = videos.figure(column.dataset)
    else:
        methods = videos.methods(column.dataset, column.category)
        if not methods:
            kind = f"{column.category} " if column.category else ""
            return ColumnMetrics(None, None, note=f"no {kind}fake of {column.dataset}")
        parts = [videos.figure(column.dataset, method) for method in methods]
        n_unscored = videos.n_unscored(column.dataset, methods)
        mean = _mean(parts, column.n_methods or len(parts), "methods")
        # A dataset's real videos stand beside each of its methods, and are counted once.
        figure = replace(
            mean, n_real=max(metrics.n_real for metrics in parts), n_unscored=n_unscored
        )
    n_real = videos.n_real(column.dataset)
    if figure.auc is not None and column.n_real not in (None, n_real):
        lacking = f"{n_real} of {column.n_real} real videos"
        figure = replace(figure, note="; ".join(filter(None, (figure.note, lacking))))
    return figure


def _mean(parts: list[ColumnMetrics], expected: int, of: str) -> ColumnMetrics:
    """The mean over those that are defined; marked if they are not as many as expected, or marked."""
    defined = [part for part in parts if part.auc is not None]
    if not defined:
        return ColumnMetrics(None, None, note=f"none of {expected} {of}")
    lacking = [] if len(defined) == expected else [f"{len(defined)} of {expected} {of}"]
    if any(part.note for part in defined):
        lacking.append("over incomplete figures")
    auc, at_half, at_own = (
        float(np.mean([getattr(part, name) for part in defined]))
        for name in ("auc", "balanced_accuracy", "own_balanced_accuracy")
    )
    return ColumnMetrics(
        auc=auc,
        balanced_accuracy=at_half,
        own_balanced_accuracy=at_own,
        n_real=sum(part.n_real for part in defined),
        n_fake=sum(part.n_fake for part in defined),
        n_unscored=sum(part.n_unscored for part in defined),
        note="; ".join(lacking) or None,
    )
