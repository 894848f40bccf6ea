"""What a page of scores says of the model and of the software behind them."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dfray
from dfray import storage
from dfray.config import FacesSection
from dfray.errors import StorageError
from dfray.evaluation.names import VIDEO_RULES, views_name
from dfray.faces.version import FACES_VERSION
from dfray.models.bundle import Bundle
from dfray.models.bundle_description import read_description
from dfray.serving.model_card import limits_in
from dfray.serving.score_table import FileScore, ScoringModel

_LIBRARIES = ("torch", "timm", "mediapipe", "av", "numpy")


@dataclass(frozen=True)
class PageModel:
    """The model of a page.

    Attributes:
        facts: name -> value, for the table of the model and the versions.
        limits: paragraphs of the model card on its use.
        video_rule: how a video's score comes from its faces, in words.
    """

    facts: Mapping[str, str]
    limits: Sequence[str]
    video_rule: str
    threshold: float


def page_model(model: ScoringModel, bundle: Bundle, files: str, card: str | None) -> PageModel:
    """Return what a page says of a model that scores now.

    Args:
        files: folder of the bundle.
        card: the model card, Markdown; None: it has none.
    """
    rule, trained_by = bundle.decision_rule, read_description(files)["dfray_version"]
    return PageModel(
        _facts(model, bundle, trained_by),
        limits_in(card) if card is not None else [],
        VIDEO_RULES[rule.video_rule],
        rule.threshold,
    )


def sha256_of(score: FileScore, place: str) -> str | None:
    """Return the SHA-256 of a scored file; None if nothing in it could be read, or it cannot be read again.

    Args:
        place: path or URI of the file.
    """
    if score.outcome not in ("ok", "no_face"):
        return None
    try:
        return storage.sha256(place)
    except StorageError:
        return None


def _facts(model: ScoringModel, bundle: Bundle, trained_by: str) -> dict[str, str]:
    """Return name -> value, for the table of the model and of all versions."""
    rule, faces = bundle.decision_rule, FacesSection.from_stored(bundle.faces)
    sampling = f"{faces.rate_fps:g} frames/s" if faces.rate_fps else f"{faces.frames} frames"
    return {
        "model": f"{model.name} version {model.version}",
        "recipe": bundle.recipe["name"],
        "network": bundle.recipe["model"]["backbone"],
        "weights' SHA-256": model.checksum,
        "threshold": f"{rule.threshold:.6g}, {rule.threshold_origin}",
        "temperature": f"{rule.temperature:.6g}",
        "views of a face": views_name(rule.views),
        "video rule": rule.video_rule,
        "sampling": f"{sampling}; faces with a margin of {faces.margin_ratio:g}, {faces.size_px} px",
        "faces taken by version": f"{FACES_VERSION}; the model learned from {bundle.faces_version}",
        "scored at": datetime.now(UTC).isoformat(timespec="seconds"),
        "dfray": f"{dfray.__version__}; the model was trained by {trained_by}",
        "Python": platform.python_version(),
        **{name: version for name in _LIBRARIES if (version := _version(name))},
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
