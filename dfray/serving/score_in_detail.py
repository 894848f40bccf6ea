"""Scores of files by a registered model with a page for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dfray import storage
from dfray.evaluation.reference import Reference, read_reference
from dfray.notes import warn
from dfray.serving.examination import Examination
from dfray.serving.examine import examine
from dfray.serving.inputs import MediaInput
from dfray.serving.page_model import page_model, sha256_of
from dfray.serving.score_files import ModelFolder, loaded_scorer
from dfray.serving.score_outputs import Outputs
from dfray.serving.score_page import ScorePage, section_of
from dfray.serving.score_pictures import wanted_of
from dfray.serving.scorer import MediaScorer


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
    page, truths = (
        ScorePage(),
        {storage.absolute(name): truth for name, truth in outputs.truths.items()},
    )
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
            sha256=sha256_of(examination.score, file),
            truth=truths.get(file),
        )
    )


def _write(page: ScorePage, outputs: Outputs, model: _Model) -> None:
    n_earlier = outputs.earlier.total()
    remark = (
        f"{n_earlier:,} input(s) were scored before this page was made, and are not on it: their scores are "
        f"in {outputs.out}."
    )
    of_page = page_model(
        model.files.model, model.scorer.bundle, model.files.bundle, model.files.card
    )
    page.write(str(outputs.report), of_page, remark if n_earlier else "")
