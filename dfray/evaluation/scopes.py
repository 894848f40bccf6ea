"""Over which videos two models are compared: all of them, each dataset, each column of a protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.evaluation.protocol import Column, Protocol
from dfray.tables import FAKE, REAL


@dataclass(frozen=True)
class Scope:
    """Videos that one figure is taken over.

    Attributes:
        name: as it is told: all videos, a dataset, or protocol / scenario / column.
        parts: (weight, bool (V,)): the figure is the sum of the parts' own figures, each times its
            weight; one part of weight 1 but for means over methods or columns.
        asked: it was named, and not only found in the data.
    """

    name: str
    parts: tuple[tuple[float, np.ndarray], ...]
    asked: bool = True

    @property
    def videos(self) -> np.ndarray:
        """bool (V,): those that are in any part."""
        return np.any([mask for _, mask in self.parts], axis=0)

    def fewest(self, labels: np.ndarray) -> int:
        """Videos of the smallest class of its smallest part."""
        return min(
            int(np.sum(mask & (labels == label)))
            for _, mask in self.parts
            for label in (REAL, FAKE)
        )


def scopes_of(videos: pa.Table, protocols: Sequence[Protocol] = ()) -> list[Scope]:
    """Every scope that `videos` have something for; what covers the same videos is named once.

    Args:
        videos: with the columns of VIDEO_SCORES; only scored ones.
        protocols: a column whose dataset is not there is left out, and so is a mean over such columns.
    """
    corpus = _Corpus(videos)
    found = [Scope("all videos", ((1.0, np.ones(len(corpus.label), bool)),))]
    for protocol in protocols:
        found += _of_protocol(protocol, corpus)
    found += [
        Scope(str(name), ((1.0, corpus.dataset == name),), asked=False)
        for name in np.unique(corpus.dataset)
    ]
    return list(_distinct(found))


def absent_columns(videos: pa.Table, protocol: Protocol) -> list[str]:
    """`scenario / column` of the protocol's columns that `videos` have nothing for."""
    corpus = _Corpus(videos)
    return [
        f"{scenario.name} / {column.name}"
        for scenario in protocol.scenarios
        for column in scenario.columns
        if not corpus.masks(column)
    ]


class _Corpus:
    """The columns that scopes are made by, as arrays."""

    def __init__(self, videos: pa.Table) -> None:
        self.label = videos.column("label").to_numpy()
        self.dataset, self.method, self.category = (
            np.asarray(videos.column(name).to_pylist(), str)
            for name in ("dataset", "method", "category")
        )

    def masks(self, column: Column) -> list[np.ndarray]:
        """bool (V,) of the column's dataset, or of each of its fake methods with all its real videos."""
        here = self.dataset == column.dataset
        if column.over == "videos":
            return [here] if here.any() else []
        fakes = here & (self.label == FAKE)
        if column.category:
            fakes &= self.category == column.category
        real = here & (self.label == REAL)
        return [real | (fakes & (self.method == name)) for name in np.unique(self.method[fakes])]


def _of_protocol(protocol: Protocol, corpus: _Corpus) -> Iterable[Scope]:
    for scenario in protocol.scenarios:
        columns = []
        for column in scenario.columns:
            masks = corpus.masks(column)
            parts = tuple((1 / len(masks), mask) for mask in masks)
            if parts:
                columns.append(Scope(f"{protocol.name} / {scenario.name} / {column.name}", parts))
        yield from columns
        if scenario.average and len(columns) == len(scenario.columns):
            parts = tuple(
                (weight / len(columns), mask) for scope in columns for weight, mask in scope.parts
            )
            yield Scope(f"{protocol.name} / {scenario.name} / {scenario.average}", parts)


def _distinct(scopes: Iterable[Scope]) -> Iterable[Scope]:
    seen = set()
    for scope in scopes:
        key = tuple((weight, mask.tobytes()) for weight, mask in scope.parts)
        if key not in seen:
            seen.add(key)
            yield scope
