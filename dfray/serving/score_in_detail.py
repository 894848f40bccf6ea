"""Scores of files by a registered model with a page for people."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dfray
from dfray import storage
from dfray.errors import StorageError
from dfray.evaluation.names import VIDEO_RULES, views_name
from dfray.evaluation.reference import Reference, read_reference
from dfray.faces.version import FACES_VERSION
from dfray.models.bundle_description import read_description
from dfray.notes import warn
from dfray.serving.examination import Examination
from dfray.serving.examine import examine
from dfray.serving.inputs import MediaInput
from dfray.serving.model_card import FILE as CARD
from dfray.serving.model_card import limits_in
from dfray.serving.score_files import ModelFolder, loaded_scorer
from dfray.serving.score_outputs import Outputs
from dfray.serving.score_page import ScorePage, section_of
from dfray.serving.score_pictures import wanted_of
from dfray.serving.scorer import MediaScorer

_LIBRARIES = ("torch", "timm", "mediapipe", "av", "numpy")


@dataclass(frozen=True)
class _Model:
    """A registered version that is loaded, with its files, and validation in numbers."""

    files: ModelFolder
    scorer: MediaScorer
    reference: Reference | None


def pictured(
    files: ModelFolder, inputs: Iterable[MediaInput], outputs: Outputs
) -> Iterator[Examination]:
    """Yield the examination of each input, in order, without its pictures; at the end write the page of all.

    No page is written if there is no input: an earlier one stays.

    Raises:
        StorageError: the page cannot be written.
    """
    assert outputs.report is not None
    inputs = list(inputs)  # how much the page shows of each depends on their number
    if not inputs:
        warn(f"Every input has a score in {outputs.out}: {outputs.report} is not written.")
        return
    page, truths = ScorePage(), {_place(name): truth for name, truth in outputs.truths.items()}
    with loaded_scorer(files) as scorer:
        reference = read_reference(files.bundle, scorer.bundle.decision_rule)
        model = _Model(files, scorer, reference)
        for media in inputs:
            examination = examine(media, scorer, files.model, "pictures")
            _add(page, examination, model, len(inputs), truths)
            yield replace(examination, kept={})
        _write(page, outputs, model)


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


def _write(page: ScorePage, outputs: Outputs, model: _Model) -> None:
    bundle = model.scorer.bundle
    card = model.files.folder / CARD
    n_earlier = outputs.earlier.total()
    page.write(
        str(outputs.report),
        remark=f"{n_earlier:,} input(s) were scored before this page was made, and are not on it: their "
        f"scores are in {outputs.out}."
        if n_earlier
        else "",
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
