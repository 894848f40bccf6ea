"""Scores of files by a registered model, the champion by default, as they come."""

from __future__ import annotations

import gc
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfray.config import ClusterSection
from dfray.errors import UserError
from dfray.models.bundle_description import read_description
from dfray.registry.champion import find_version
from dfray.registry.local_registry import stored_version
from dfray.registry.packages import checked_package
from dfray.serving.admission import Admission
from dfray.serving.inputs import MediaInput, expand_inputs
from dfray.serving.model_card import FILE as CARD
from dfray.serving.score_outputs import KeptResults, Outputs
from dfray.serving.score_table import FileScore as FileScore
from dfray.serving.score_table import ScoringModel

if TYPE_CHECKING:
    from dfray.serving.examination import Examination
    from dfray.serving.examine import Depth
    from dfray.serving.scorer import MediaScorer

FEW = 8
"""Inputs from which on the start of Ray, about 13 s, is worth it."""


@dataclass(frozen=True)
class ModelFolder:
    """The files of a registered model on this machine, checked, and what its scores state of it."""

    folder: Path
    model: ScoringModel

    @property
    def bundle(self) -> str:
        return str(self.folder / "artifacts" / "bundle")

    @property
    def detector(self) -> str:
        return str(self.folder / "artifacts" / "face_detector")

    @property
    def card(self) -> str | None:
        """The model card, Markdown; None: it has none."""
        path = self.folder / CARD
        return path.read_text() if path.is_file() else None


@contextmanager
def opened_model(model_uri: str | None, tracking_uri: str) -> Iterator[ModelFolder]:
    """Yield a registered model's files, for as long as the block lasts.

    Args:
        model_uri: models:/NAME@ALIAS or models:/NAME/VERSION; by default the champion, if one model
            only has one.

    Raises:
        UserError: there is no such model, alias or version.
        RegistryError: MLflow cannot give the model, or its files are damaged.
        ModelFileError: its bundle is none, or of another version.
    """
    with _package(model_uri, tracking_uri) as (folder, name, version):
        description = read_description(str(folder / "artifacts" / "bundle"))
        yield ModelFolder(folder, ScoringModel.of(name, version, description))


@contextmanager
def _package(model_uri: str | None, tracking_uri: str) -> Iterator[tuple[Path, str, str]]:
    """Yield the folder of a checked package, the name of its model and its version."""
    stored = stored_version(model_uri, tracking_uri)
    if stored is not None:
        name, number = stored.name, stored.number
        with checked_package(stored.place, stored.digest, name, number) as folder:
            yield folder, name, number
        return
    versions, number = find_version(model_uri, tracking_uri)
    with versions.downloaded(number) as folder:
        yield folder, versions.name, number


@dataclass(frozen=True)
class Workers:
    """Processes that score.

    Attributes:
        count: how many; None: one for each free CPU, and this process alone for fewer than FEW inputs.
        address: of a running Ray cluster, host:port of its GCS; None: that of the environment's
            RAY_ADDRESS, or a local one.
    """

    count: int | None = None
    address: str | None = None


def score_media(
    model: ModelFolder,
    inputs: Iterable[MediaInput],
    workers: Workers,
    depth: Depth = "score",
) -> Iterator[Examination]:
    """Yield the examination of each input as it comes: in order if this process scores alone.

    Args:
        depth: what is wanted of each; no pictures.
    """
    if workers.count == 1 and workers.address is None:
        yield from _score_here(model, inputs, depth)
        return
    inputs = iter(inputs)
    first = list(itertools.islice(inputs, FEW))
    is_few = len(first) < FEW or os.cpu_count() == 1
    if is_few and workers == Workers():
        yield from _score_here(model, itertools.chain(first, inputs), depth)
        return
    from dfray.session import session

    with session(ClusterSection(address=workers.address, num_cpus=workers.count)):
        from dfray.serving.score_pool import Layout, score_on_workers
        from dfray.serving.score_worker import packed

        everything, layout = itertools.chain(first, inputs), Layout.of_free(workers.count)
        files = packed(model.folder)
        yield from score_on_workers(files, model.model, everything, layout, depth=depth)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import without looks for garbage among objects that stay: a fifth of the time of torch and timm."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def loaded_scorer(model: ModelFolder) -> Iterator[MediaScorer]:
    """Yield the model's scorer, on a GPU if there is one; it opens files with the user's own rights."""
    with _uncollected():
        import torch

        from dfray.serving.scorer import MediaScorer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the scores carry the note on faces of another version
        scorer = MediaScorer(model.bundle, model.detector, Admission(), device)
    scorer.model = model.model
    with closing(scorer):
        yield scorer


def _score_here(
    model: ModelFolder, inputs: Iterable[MediaInput], depth: Depth
) -> Iterator[Examination]:
    """Score inputs in this process, one after the other."""
    from dfray.serving.examine import examine

    with loaded_scorer(model) as scorer:
        for item in inputs:
            yield examine(item, scorer, model.model, depth)


def scores_of(
    files: Iterable[str],
    outputs: Outputs | None = None,
    *,
    model_uri: str | None = None,
    tracking_uri: str,
    workers: Workers | None = None,
) -> Iterator[FileScore]:
    """Score pictures and videos, local or s3://, and yield each score as it comes.

    Args:
        files: as of `expand_inputs`.
        outputs: where scores and what is behind them are kept.
        model_uri: as of `opened_model`.
        workers: processes that score; by default as many as this machine has CPUs. A page is made by this
            process alone.

    Raises:
        UserError, RegistryError, ModelFileError: as `opened_model`, `expand_inputs` and `KeptResults`, or
            several workers are asked for a page. A file that cannot be read raises nothing: its row has
            the reason.
    """
    outputs, workers = outputs or Outputs(), workers or Workers()
    outputs.require_sound()
    if outputs.report and workers not in (Workers(), Workers(1)):
        raise UserError(
            "--report is made by one process, which keeps the pictures of faces.",
            "Leave out --workers and --address, or --report.",
        )
    with (
        opened_model(model_uri, tracking_uri) as model,
        KeptResults.of(outputs, model.model) as results,
    ):
        missing = results.lacking(expand_inputs(files))
        if outputs.report:
            from dfray.serving.score_in_detail import pictured

            examinations = pictured(model, missing, outputs)
        else:
            depth: Depth = "faces" if outputs.frames else "score"
            examinations = score_media(model, missing, workers, depth)
        yield from results.keep(examinations)


def score_files(
    files: Iterable[str], *, model_uri: str | None = None, tracking_uri: str
) -> list[FileScore]:
    """Return the scores of `scores_of` by this process alone, in the order of the files."""
    here = Workers(1)
    return list(scores_of(files, model_uri=model_uri, tracking_uri=tracking_uri, workers=here))
