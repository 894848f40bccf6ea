"""Bundle of a published detector: its file read without running code, loaded key for key."""

from __future__ import annotations

from typing import Any

from dfray import storage
from dfray.config import UNFITTED_THRESHOLD, EvaluationSection
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.checkpoint import read_checkpoint
from dfray.models.initial_values import SkipDraws
from dfray.models.preprocess import Preprocess
from dfray.models.published.detector import CLASS_NAMES, PublishedDetector
from dfray.models.published.layout import parameters_of, unwrapped
from dfray.models.sources import local_file

NOT_FITTED = f"imported, and {UNFITTED_THRESHOLD:g} is its authors'"


def load_published(detector: PublishedDetector, uri: str) -> Bundle:
    """Return the bundle of a published detector, of the file at `uri`: a local path, s3:// or hf://.

    Raises:
        ModelFileError: the file cannot be fetched, or as `load_fetched`.
    """
    with local_file(uri) as path:
        return load_fetched(detector, path, detector.record(uri, storage.sha256(path)))


def load_fetched(detector: PublishedDetector, path: str, published: dict[str, Any]) -> Bundle:
    """Return the bundle of a published detector, of the local file `path`.

    The decision rule is a threshold of 0.5, fitted on nothing, on the mean of a video's faces.

    Args:
        published: the detector's `record` of this file.

    Raises:
        ModelFileError: the file is pickled with code in it, or is not of the detector.
    """
    uri = published["read_from"]
    section = detector.settled(detector.section, uri)
    with SkipDraws():
        network = build_detector(section, len(CLASS_NAMES))
    state = network.backbone.state_dict()
    parameters = parameters_of(
        unwrapped(read_checkpoint(path, uri)),
        detector.sources(state),
        state,
        ignored=detector.ignored,
        file=uri,
    )
    network.backbone.load_state_dict(parameters, strict=True)
    return Bundle(
        detector=network.eval(),
        preprocess=Preprocess(section),
        recipe={
            "name": detector.name,
            "description": detector.title,
            "model": section.model_dump(mode="json"),
            "evaluation": EvaluationSection().model_dump(mode="json"),
        },
        class_names=CLASS_NAMES,
        threshold=UNFITTED_THRESHOLD,
        faces=detector.faces.model_dump(mode="json"),
        unfitted=NOT_FITTED,
        published=published,
    )
