"""One input after the other through the extractor, and its faces to a network, wherever that runs."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfray.config import FacesSection
from dfray.faces.model_file import FILE_NAMES, Kind
from dfray.faces.sources import PictureFile, PixelArray
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd
from dfray.models.bundle_description import DecisionRule
from dfray.serving.admission import Admission, NotAdmittedError
from dfray.serving.inputs import MediaInput
from dfray.serving.media_score import Findings, MediaScore, judged, persons_in

BATCH_FACES = 64
"""Crops that go to the network together."""


@dataclass(frozen=True)
class Unreadable:
    """An input that is not opened, and why."""

    reason: str


Input = str | bytes | np.ndarray | Unreadable
"""The path or URI of a file, the bytes of a picture file, or a picture as uint8 (height, width, 3) RGB."""
Predictions = tuple[np.ndarray, np.ndarray]
"""Fake probabilities float (N,) and embeddings float (N, D) of N crops."""


class MediaReader(ABC):
    """Reader of inputs that a network scores; close it after use.

    Threads may score at once: one reads while the others wait for the network.

    Args:
        settings: the model's faces section, with the detector that it carries.
        rule: its decision rule.
        admission: which files it opens.
    """

    _ahead = 0
    """Batches of an input that are sent before the first is received."""

    def __init__(self, settings: FacesSection, rule: DecisionRule, admission: Admission) -> None:
        self.settings, self.rule, self.admission = settings, rule, admission
        self._extractor: SupervisedExtractor | None = None
        self._reading = threading.Lock()

    def score_media(self, media: MediaInput, findings: Findings | None = None) -> MediaScore:
        """Score a file, or an odd row of a list; as `score`."""
        item = media.uri if media.fault is None else Unreadable(media.fault)
        return self.score(item, media.kind, media.stride, findings)

    def score(
        self,
        item: Input,
        kind: str = "video",
        stride: int = 1,
        findings: Findings | None = None,
    ) -> MediaScore:
        """Score one input, with its faces.

        Args:
            kind, stride: of a path, as in VIDEOS.
            findings: filled with what is found in it.
        """
        found, batches, sent = findings or Findings(), list[Predictions](), deque[Any]()

        def receive() -> None:
            batches.append(self._receive(sent.popleft()))
            found.give(batches[-1][0])

        with self._reading:
            # The child is started before the clock is.
            self._extractor = self._extractor or SupervisedExtractor(
                self.settings, bounds=self.admission.bounds
            )
            started = time.perf_counter()
            results = self._extract(item, self._extractor, kind, stride, found.thumbnail_px)
            for crops in _batches(crop for result in results for crop in found.take(result)):
                sent.append(self._send(crops))
                if len(sent) > self._ahead:
                    receive()
        while sent:
            receive()
        scores, persons = np.zeros(0), np.zeros(0, np.int32)
        if batches:
            scores, embeddings = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
            persons = persons_in(found.positions, embeddings, self.settings.rate_fps)
        return judged(found, scores, persons, self.rule, time.perf_counter() - started)

    def close(self) -> None:
        """End the child process."""
        if self._extractor is not None:
            self._extractor.close()
        self._extractor = None

    @abstractmethod
    def _send(self, crops: np.ndarray) -> Any:
        """Hand uint8 crops (N, size_px, size_px, 3) to the network; return a handle of their scores."""

    @abstractmethod
    def _receive(self, handle: Any) -> Predictions:
        """Return the scores of the crops that were sent."""

    def _extract(
        self,
        item: Input,
        extractor: SupervisedExtractor,
        kind: str,
        stride: int,
        thumbnail_px: int | None,
    ) -> Iterator[Frame | VideoEnd]:
        match item:
            case Unreadable(reason):
                return iter([VideoEnd("unreadable", reason, 0, 0.0)])
            case str():
                try:
                    place = self.admission.place_of(item)
                    return extractor.extract(place, kind, stride, thumbnail_px)
                except NotAdmittedError as error:
                    return iter([VideoEnd("unreadable", str(error), 0, 0.0)])
            case bytes():
                return extractor.extract_source(PictureFile(item), thumbnail_px=thumbnail_px)
            case _:
                return extractor.extract_source(PixelArray(item), thumbnail_px=thumbnail_px)


def carried_settings(faces: dict[str, Any], detector_dir: str) -> FacesSection:
    """Return a bundle's faces section for scoring, with the face detector in the folder that it carries.

    Its hash is checked again: a detector of the user's own goes with the hash that the recipe states for it.
    """
    settings = FacesSection.from_stored(faces)
    _, marker, stated = (settings.detector_model or "").partition("#sha256=")
    kind: Kind = "short" if settings.detector == "short" else "full"
    detector = f"{detector_dir}/{FILE_NAMES[kind]}#sha256={stated}" if marker else detector_dir
    return settings.model_copy(update={"detector_model": detector, "landmarks": False})


def _batches(crops: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the crops in arrays of BATCH_FACES, the last of fewer."""
    batch: list[np.ndarray] = []
    for crop in crops:
        batch.append(crop)
        if len(batch) == BATCH_FACES:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
