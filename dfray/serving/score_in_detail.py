"""Scores of files by a registered model with what is behind them: a table of faces, and a page for people."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import dfray
from dfray import storage
from dfray.errors import StorageError
from dfray.evaluation.names import VIDEO_RULES, views_name
from dfray.evaluation.reference import Reference, read_reference
from dfray.faces.version import FACES_VERSION
from dfray.models.bundle_description import read_description
from dfray.serving.examination import Examination
from dfray.serving.examine import examine
from dfray.serving.face_rows import face_scores, require_suffix, write_face_scores
from dfray.serving.inputs import expand_inputs
from dfray.serving.model_card import FILE as CARD
from dfray.serving.model_card import limits_in
from dfray.serving.score_files import ModelFolder, loaded_scorer, opened_model
from dfray.serving.score_page import ScorePage, section_of
from dfray.serving.score_pictures import wanted_of
from dfray.serving.score_table import FileScore
from dfray.serving.scorer import MediaScorer

_LIBRARIES = ("torch", "timm", "mediapipe", "av", "numpy")


@dataclass(frozen=True)
class Outputs:
    """Where to write what is behind the scores.

    Attributes:
        frames: path or URI of the table of faces: .parquet, .csv or .jsonl; None: none.
        report: path or URI of the page, HTML; None: none.
        truths: input -> what is known of it, for the page.
    """

    frames: str | None = None
    report: str | None = None
    truths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Model:
    """A registered version that is loaded, with its files, and validation in numbers."""

    files: ModelFolder
    scorer: MediaScorer
    reference: Reference | None


def score_in_detail(
    files: Iterable[str], outputs: Outputs, *, model_uri: str | None = None, tracking_uri: str
) -> list[FileScore]:
    """Score pictures and videos one after the other, and write what is behind the scores.

    Args:
        files: as of `expand_inputs`.
        model_uri: as of `opened_model`.

    Raises:
        UserError: there is no such model, alias or version, or the table has another suffix.
        RegistryError: MLflow cannot give the model.
        StorageError: a result cannot be written.
    """
    if outputs.frames:
        require_suffix(outputs.frames)
    examinations: list[Examination] = []
    page, truths = ScorePage(), {_place(name): truth for name, truth in outputs.truths.items()}
    with _loaded(model_uri, tracking_uri) as model:
        inputs = list(expand_inputs(files))
        wants_page = outputs.report is not None
        for examination in examine(inputs, model.scorer, keep_pictures=wants_page):
            if wants_page:
                _add(page, examination, model, len(inputs), truths)
            examinations.append(replace(examination, kept={}))
        if outputs.report:
            _write(page, outputs.report, model)
    if outputs.frames:
        write_face_scores(face_scores(examinations), outputs.frames)
    return [examination.score for examination in examinations]


@contextmanager
def _loaded(model_uri: str | None, tracking_uri: str) -> Iterator[_Model]:
    """Yield a registered version with its network loaded."""
    with opened_model(model_uri, tracking_uri) as files, loaded_scorer(files) as scorer:
        reference = read_reference(files.bundle, scorer.bundle.decision_rule)
        yield _Model(files, scorer, reference)


def _add(
    page: ScorePage,
    examination: Examination,
    model: _Model,
    n_inputs: int,
    truths: Mapping[str, str],
) -> None:
    file = examination.score.file
    page.add(
        section_of(
            examination,
            model.scorer.bundle,
            model.reference,
            wanted_of(n_inputs),
            sha256=_sha256(examination),
            truth=truths.get(file),
        )
    )


def _sha256(examination: Examination) -> str | None:
    """Return the SHA-256 of the file; None if nothing in it could be read, or it cannot be read again."""
    if examination.score.outcome not in ("ok", "no_face"):
        return None
    try:
        return storage.sha256(examination.score.file)
    except StorageError:
        return None


def _write(page: ScorePage, uri: str, model: _Model) -> None:
    bundle = model.scorer.bundle
    card = model.files.folder / CARD
    page.write(
        uri,
        model=_facts(model),
        limits=limits_in(card.read_text()) if card.is_file() else [],
        video_rule=VIDEO_RULES[bundle.decision_rule.video_rule],
        threshold=bundle.threshold,
    )


def _facts(model: _Model) -> dict[str, str]:
    """Return name -> value, for the table of the model and of all versions."""
    bundle = model.scorer.bundle
    description = read_description(model.files.bundle)
    rule, faces = bundle.decision_rule, model.scorer.settings
    sampling = f"{faces.rate_fps:g} frames/s" if faces.rate_fps else f"{faces.frames} frames"
    return {
        "model": f"{model.files.model.name} version {model.files.model.version}",
        "recipe": bundle.recipe["name"],
        "network": bundle.recipe["model"]["backbone"],
        "weights' SHA-256": description["weights_sha256"],
        "threshold": f"{rule.threshold:.6g}, {rule.threshold_origin}",
        "temperature": f"{rule.temperature:.6g}",
        "views of a face": views_name(rule.views),
        "video rule": rule.video_rule,
        "sampling": f"{sampling}; faces with a margin of {faces.margin_ratio:g}, {faces.size_px} px",
        "faces taken by version": f"{FACES_VERSION}; the model learned from {bundle.faces_version}",
        "scored at": datetime.now(UTC).isoformat(timespec="seconds"),
        "dfray": f"{dfray.__version__}; the model was trained by {description['dfray_version']}",
        "Python": platform.python_version(),
        **{name: version for name in _LIBRARIES if (version := _version(name))},
    }


def _place(name: str) -> str:
    """Return the name of an input as its score has it."""
    return name if storage.is_remote(name) else storage.absolute(name)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
