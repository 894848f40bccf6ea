"""Table of a protocol for the run's model, registered models and files of scores, on the run's videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dfray import storage
from dfray.config import FacesSection
from dfray.datasets.corpus import TRAINED
from dfray.errors import UserError
from dfray.faces.version import version_note
from dfray.models.bundle_description import (
    read_faces,
    read_faces_version,
    read_recipe,
)
from dfray.notes import warn
from dfray.progress import stage
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.evaluation.dataset_statistics import DatasetStatistics
    from dfray.evaluation.given_scores import GivenScores
    from dfray.evaluation.given_truth import Truths
    from dfray.evaluation.protocol import Protocol
    from dfray.evaluation.protocol_pairs import ScoredVideos
    from dfray.evaluation.protocol_table import ProtocolResult
    from dfray.serving.training_data import TrainingData

_CUT = ("detector", "detector_model", "margin_ratio", "align")
"""Settings of faces that a model must have been trained with to be compared on them."""


@dataclass(frozen=True)
class _Subject:
    """The run's videos and the protocol that every model is measured by; read once for all of them."""

    run: RunContext
    protocol: Protocol

    @property
    def split(self) -> str:
        return self.run.recipe.evaluation.split

    @cached_property
    def summaries(self) -> pa.Table:
        """SUMMARIES of the videos that were extracted, which both models and files can have scored."""
        return self.run.faces.summaries([self.split])

    @cached_property
    def truths(self) -> Truths:
        """Truth about the videos, to which scores in files are matched."""
        from dfray.evaluation.given_truth import truths_of_manifest

        return truths_of_manifest(self.run.manifest, self.split, self.run.runs.manifest)

    def stored(self, videos: pa.Table) -> pa.Table:
        """Return those VIDEO_SCORES that are of extracted videos."""
        return videos.filter(pc.is_in(videos["video_id"], self.summaries["video_id"]))


@dataclass(frozen=True)
class _Measured:
    """One model's row, and its scores of every video."""

    row: ProtocolResult
    scored: ScoredVideos


def compare_models(
    run: RunContext,
    protocol: str = "paper",
    models: Sequence[str] = (),
    scores: Sequence[tuple[str, str | None]] = (),
) -> str:
    """Measure models by a protocol, write its table as page, Markdown and CSV, and return the page's URI.

    Args:
        protocol: the name of one that comes with dfray, or a YAML file.
        models: models:/NAME@ALIAS or models:/NAME/VERSION, besides the run's own model if it has one.
        scores: path or URI of a file of scores as `given_scores` describes, and its name in the table; None:
            the name that the file states.

    Raises:
        UserError: no such protocol or model, no model at all, or one trained on faces cut otherwise; a file
            of scores cannot be used; two rows would have one name; or the run was made with a recipe that
            differs in more than its evaluation.
    """
    from dfray.evaluation.given_scores import read_given_scores
    from dfray.evaluation.protocol import load_protocol
    from dfray.evaluation.protocol_pairs import paired_rows
    from dfray.evaluation.protocol_table import write_protocol_table

    subject = _Subject(run, load_protocol(protocol))
    if not models and not scores:
        run.require_model()
    read = [(name, read_given_scores(uri)) for uri, name in scores]
    files = [(name or given.detector, given) for name, given in read]
    bundles = dict(_bundles(run, models))
    _require_names([*bundles, *(name for name, _ in files)])
    with run.session(), stage("compare", len(bundles) + len(files)) as line:
        results = []
        for done, (name, uri) in enumerate(bundles.items()):
            line.update(done=done, detail=name)
            results.append(_measure(subject, name, uri))
        results += [_given(subject, name, given) for name, given in files]
        page = write_protocol_table(
            run.folder.evaluation,
            subject.protocol,
            [result.row for result in results],
            _collections(subject),
            paired_rows(
                subject.protocol, [r.scored for r in results], run.recipe.evaluation.confidence
            ),
        )
        line.finish(page)
    return page


def _bundles(run: RunContext, models: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name in the table and URI of each bundle, the run's own first; every node can read them."""
    from dfray.registry.champion import find_version
    from dfray.serving.package import downloaded_bundle

    if storage.exists(storage.join(run.folder.model, "bundle.json")):
        yield run.recipe.name, run.folder.model
    for model in dict.fromkeys(models):
        versions, version = find_version(model, run.tracking_uri)
        with downloaded_bundle(versions.name, version, run.tracking_uri) as bundle:
            uri = run.folder.share_version(versions.name, version, bundle)
        yield f"{read_recipe(uri)['name']} ({versions.name} version {version})", uri


def _measure(subject: _Subject, name: str, bundle_uri: str) -> _Measured:
    """Measure one model; the run's own model gets the decision rule that the recipe asks for."""
    from dfray.evaluation.measure import measure_model
    from dfray.serving.training_data import of_bundle

    run = subject.run
    _require_same_faces(run.recipe.faces, name, bundle_uri)
    fit = bundle_uri == run.folder.model
    result = measure_model(run.evaluation_set, bundle_uri, fit=fit, post_process=False)
    return _measured(
        subject,
        (name, result.video_scores, result.decision_rule.threshold),
        _own_training(run) if fit else of_bundle(bundle_uri),
        video_rule=result.decision_rule.video_rule,
        note=_notes(run, bundle_uri),
    )


def _require_names(names: Sequence[str]) -> None:
    """Check that each row of the table has a name of its own, raise a UserError if not."""
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(
                f"{count} rows of the table would be named {name}.",
                "Give each --scores a name of its own: --as NAME.",
            )


def _given(subject: _Subject, name: str, given: GivenScores) -> _Measured:
    """Measure the scores of a file, of the run's videos whose faces are stored and that are no copies."""
    from dfray.evaluation.matched_scores import match_scores
    from dfray.serving.training_data import of_version

    run, split = subject.run, subject.split
    matched = match_scores(given, subject.truths, split)
    for mismatch in matched.mismatches:
        warn(mismatch)
    copies = pa.array(run.evaluation_set.copies(split).of_dataset, pa.string())
    videos = subject.stored(matched.videos)
    videos = videos.filter(pc.invert(pc.is_in(videos["video_id"], copies)))
    return _measured(
        subject,
        (name, videos, given.threshold),
        of_version(given.detector, run.tracking_uri),
        note=f"scores of {given.uri}, by faces of its own",
    )


def _measured(
    subject: _Subject,
    scored: tuple[str, pa.Table, float],
    training: TrainingData,
    **row: Any,
) -> _Measured:
    """Apply the protocol to one model's scores.

    Args:
        scored: the model's name, VIDEO_SCORES of the run's videos, and its threshold.
        training: what it was trained on.
        row: more of its `ProtocolResult`.
    """
    from dfray.evaluation.paired import with_persons
    from dfray.evaluation.protocol import apply_protocol, method_metrics
    from dfray.evaluation.protocol_pairs import ScoredVideos, with_training_notes
    from dfray.evaluation.protocol_table import ProtocolResult

    protocol, (name, videos, threshold) = subject.protocol, scored
    figures = apply_protocol(protocol, videos, threshold)
    result = ProtocolResult(
        name,
        threshold,
        with_training_notes(protocol, figures, name, training.datasets),
        method_metrics(protocol, videos, threshold),
        trained_on=training.words,
        **row,
    )
    kept = with_persons(subject.stored(videos), subject.summaries)
    return _Measured(result, ScoredVideos(name, kept, threshold))


def _own_training(run: RunContext) -> TrainingData:
    """Return what the run's own model was trained on, by its manifest."""
    from dfray.serving.training_data import TrainingData

    videos = run.manifest.filter(pc.is_in(run.manifest["split"], pa.array(TRAINED)))
    return TrainingData.of_datasets(sorted(pc.unique(videos["dataset"]).to_pylist()))


def _notes(run: RunContext, bundle_uri: str) -> str | None:
    """Return how the stored faces differ from those that the model learned from."""

    notes = (
        _size_note(run.recipe.faces.size_px, bundle_uri),
        version_note(read_faces_version(bundle_uri), run.faces.version),
    )
    return "; ".join(filter(None, notes)) or None


def _size_note(size_px: int, bundle_uri: str) -> str | None:
    """Return a note on a model whose input size differs from that of the stored faces."""

    input_px = read_recipe(bundle_uri)["model"]["size_px"]
    if input_px == size_px:
        return None
    return (
        f"takes {input_px} px, and these faces are stored at {size_px} px: they were resized for it"
    )


def _require_same_faces(settings: FacesSection, name: str, bundle_uri: str) -> None:
    """Check that a model was trained on faces detected and cut as these, raise if not.

    Raises:
        UserError: with both values of each setting that differs.
    """

    trained_on = {"align": "none"} | read_faces(bundle_uri)  # models from before it was a setting
    stored = settings.model_dump(mode="json")
    differences = [
        f"faces.{key} {trained_on[key]!r} (here {stored[key]!r})"
        for key in _CUT
        if key in trained_on and trained_on[key] != stored[key]
    ]
    if differences:
        raise UserError(
            f"{name} was trained on other faces than these: {', '.join(differences)}.",
            "Compare it in a run whose faces are cut as its own.",
        )


def _collections(subject: _Subject) -> list[DatasetStatistics]:
    """Return statistics of the protocol's datasets that the run has."""
    from dfray.evaluation.dataset_statistics import describe_datasets
    from dfray.faces.shards import read_boxes

    faces, summaries = subject.run.faces, subject.summaries
    names = [c.dataset for s in subject.protocol.scenarios if s.collections for c in s.columns]
    if not set(names) & set(summaries["dataset"].to_pylist()):
        return []
    return describe_datasets(names, summaries, faces.outcomes(), read_boxes(faces, subject.split))
