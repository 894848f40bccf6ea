"""A model in the process of a replica: one child that reads, and one network for all requests."""

from __future__ import annotations

import asyncio
import concurrent.futures
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np

from dfray.errors import ModelFileError
from dfray.evaluation.reference import count_face_px, read_reference
from dfray.faces.supervise import Bounds, SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd
from dfray.models.bundle_description import decision_rule_of, read_description
from dfray.service.task import Progress, Scored
from dfray.serving.admission import Admission
from dfray.serving.examination import Examination
from dfray.serving.examine import Depth, examine
from dfray.serving.inputs import MediaInput
from dfray.serving.media_reader import Input, MediaReader, Predictions, carried_settings
from dfray.serving.page_model import page_model, sha256_of
from dfray.serving.score_page import ScorePage, section_of
from dfray.serving.score_pictures import ALONE
from dfray.serving.score_table import ScoringModel
from dfray.serving.score_worker import AHEAD, Files, SharedNetwork

BATCH, WAIT_S = 64, 0.02
"""Faces that go through the network together, and the longest time that one waits for others."""

Watch = Callable[[Progress], bool]
"""A function that is told of each sampled frame, and returns False if the request has ended."""
_WATCH = ContextVar[Watch | None]("watch", default=None)
"""Of the request that this thread scores: two requests may name the same file."""


class LoadedModel:
    """A model that scores files of several requests at once; close it after use.

    Args:
        loop: on which the network collects its batches.
        bounds: of each file.

    Attributes:
        network: the network, whose batches hold faces of all requests.
        n_users: requests that it is scoring.
    """

    def __init__(
        self,
        files: Files,
        model: ScoringModel,
        bounds: Bounds,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        import torch

        self.model = model
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the scores carry the note on faces of another version
            self.network = SharedNetwork(files, device, BATCH, WAIT_S)
        self._reader = _Reader(self.network, loop, Admission(bounds=bounds))
        self.n_users = 0

    def check(self) -> None:
        """Score a grey picture, in whose faces, if any, the network gives numbers.

        Raises:
            ModelFileError: the network gives none.
            DfrayError: the face detector does not start.
        """
        size_px = self._reader.settings.size_px
        grey = np.full((1, size_px, size_px, 3), 127, np.uint8)
        probabilities, _ = self._reader.predicted(grey)
        if not np.isfinite(probabilities).all():
            raise ModelFileError(
                f"The network of {self.model} gives no numbers.", "Promote another."
            )
        self._reader.score(np.full((64, 64, 3), 127, np.uint8))

    def scored(self, path: str, name: str, watch: Watch, *, with_page: bool) -> Scored:
        """Score a file, which clients call `name`."""
        watching = _WATCH.set(watch)
        try:
            depth: Depth = "pictures" if with_page else "faces"
            found = examine(MediaInput(path), self._reader, self.model, depth)
        finally:
            _WATCH.reset(watching)
        page = self._page(found, path, name) if with_page else None
        score = replace(found.score, input=name)
        return Scored(score, count_face_px([face.face_px for face in found.faces]), page)

    def _page(self, found: Examination, path: str, name: str) -> bytes:
        """Return the page of a score, HTML."""
        sha256 = sha256_of(found.score, path)
        named, files = replace(found, score=replace(found.score, input=name)), self.network.files
        page = ScorePage()
        with self.network.borrowed() as bundle:
            reference = read_reference(files.bundle, bundle.decision_rule)
            page.add(section_of(named, bundle, reference, ALONE, sha256=sha256))
            return page.html(page_model(self.model, bundle, files.bundle, files.card))

    def close(self) -> None:
        """End the child, and remove the model's files."""
        self._reader.close()
        self.network.close()


class _Reader(MediaReader):
    """Reader whose network is in this process, and collects faces of all threads."""

    _ahead = AHEAD

    def __init__(
        self, network: SharedNetwork, loop: asyncio.AbstractEventLoop, admission: Admission
    ) -> None:
        description = read_description(network.files.bundle)
        settings = carried_settings(description["faces"], network.files.detector)
        super().__init__(settings, decision_rule_of(description), admission)
        self._network, self._loop = network, loop

    def predicted(self, crops: np.ndarray) -> Predictions:
        """Return the scores of crops, without reading ahead."""
        return self._receive(self._send(crops))

    def _extract(
        self,
        item: Input,
        extractor: SupervisedExtractor,
        kind: str,
        stride: int,
        thumbnail_px: int | None,
    ) -> Iterator[Frame | VideoEnd]:
        results = super()._extract(item, extractor, kind, stride, thumbnail_px)
        watch = _WATCH.get()
        return watched(results, watch) if watch else results

    def _send(self, crops: np.ndarray) -> concurrent.futures.Future[Predictions]:
        return asyncio.run_coroutine_threadsafe(self._network.predict(crops), self._loop)

    def _receive(self, handle: Any) -> Predictions:
        predictions: Predictions = handle.result()
        return predictions


def watched(results: Iterator[Frame | VideoEnd], watch: Watch) -> Iterator[Frame | VideoEnd]:
    """Yield the results, tell of each frame, and break off once the request has ended."""
    for number, result in enumerate(results, 1):
        if isinstance(result, Frame) and not watch(Progress(number, result.time_s)):
            yield VideoEnd("timed_out", "its request has ended", 1, 0.0)
            return
        yield result


class Models:
    """Models of a replica, of one event loop: the last that were asked for, and those that still score."""

    def __init__(self, most: int = 2) -> None:
        self._most = most
        self._loaded: dict[str, LoadedModel] = {}
        self._loading = asyncio.Lock()

    async def get(self, key: str, load: Callable[[], LoadedModel]) -> LoadedModel:
        """Return a model, loaded and checked if it is not there; it counts as used until `release`.

        Raises:
            DfrayError: it cannot be loaded.
        """
        if key not in self._loaded:
            async with self._loading:
                if key not in self._loaded:
                    self._loaded[key] = await asyncio.to_thread(_checked, load)
        model = self._loaded[key] = self._loaded.pop(key)  # the last is the latest
        model.n_users += 1
        await asyncio.to_thread(_close, self._surplus())
        return model

    def release(self, model: LoadedModel) -> None:
        model.n_users -= 1

    def close(self) -> None:
        """End the children of all models."""
        _close(self._loaded.values())

    def _surplus(self) -> list[LoadedModel]:
        """Take the oldest models without users off the list."""
        idle = [key for key, model in self._loaded.items() if not model.n_users]
        return [self._loaded.pop(key) for key in idle[: max(0, len(self._loaded) - self._most)]]


def _checked(load: Callable[[], LoadedModel]) -> LoadedModel:
    model = load()
    try:
        model.check()
    except BaseException:
        model.close()
        raise
    return model


def _close(models: Iterable[LoadedModel]) -> None:
    for model in models:
        model.close()
