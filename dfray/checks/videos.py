"""Checks of corpora, classes and faces: what training refuses of the videos."""

from __future__ import annotations

from collections.abc import Iterator

from dfray import storage
from dfray.batches.labels import datasets_of_both, lacking_classes
from dfray.batches.pairing import HOW_TO_PAIR, count_pairs
from dfray.checks.finding import Finding
from dfray.checks.subject import Subject
from dfray.planning.sample import planned_sample

ONE_SOURCE = "Give the real and fake videos of one source the same corpora.N.dataset."
_BOTH = "Training and validation need both classes: see `dfray manifest check`."


def corpora(subject: Subject) -> Iterator[Finding]:
    """Yield each root that is not there, or the contradiction of the corpora."""
    recipe = subject.recipe
    absent = [
        Finding(
            f"corpora.{number}.root: there is no {corpus.root}.",
            f"Name the folder or the file that reader {corpus.reader} reads.",
        )
        for number, corpus in enumerate(recipe.corpora)
        if corpus.reader != "demo" and not storage.exists(corpus.root)
    ]
    yield from absent
    if not absent:
        _ = subject.manifest


def faces(subject: Subject) -> Iterator[Finding]:
    """Yield the store whose faces were taken in another way and lack videos."""
    if subject.missing and (videos := subject.videos) is not None:
        store = subject.run.faces_of(videos)
        stored = set(store.summaries()["video_id"].to_pylist())
        store.require_current_version(
            [x for x in videos["video_id"].to_pylist() if x not in stored]
        )
    yield from ()


def classes(subject: Subject) -> Iterator[Finding]:
    """Yield each split of training that lacks a class, and what `batches.labels` lacks."""
    from dfray.training.classes import require_trainable_classes  # imports torch

    recipe, videos = subject.recipe, subject.videos
    if videos is not None and recipe.batches.self_blend is None:  # else real videos are enough
        for split, names in lacking_classes(videos, ("train", "val")).items():
            yield Finding(f"Split {split} has no {' and no '.join(names)} video.", _BOTH)
    require_trainable_classes(recipe, videos)


def pairs(subject: Subject) -> Iterator[Finding]:
    """Yield the lack of a pair, if the recipe wants pairs."""
    videos = subject.videos
    if videos is None or subject.recipe.batches.pairing is None:
        return
    if not count_pairs(videos).n_paired:
        yield Finding(
            "batches.pairing: no fake video of split train has the video it was made from in it.",
            HOW_TO_PAIR,
        )


def judged_datasets(subject: Subject) -> Iterator[Finding]:
    """Yield the lack of a dataset of validation that search or the choice of an epoch can go by."""
    recipe, videos = subject.recipe, subject.videos
    if videos is None or recipe.batches.self_blend is not None or lacking_classes(videos, ("val",)):
        return
    if not datasets_of_both(videos, "val"):
        yield Finding(
            "No dataset of split val has real and fake videos, and the validation metrics are means over "
            "datasets.",
            ONE_SOURCE,
        )


def selection(subject: Subject) -> Iterator[Finding]:
    """Yield the same lack, if the epoch is selected by a metric of videos."""
    if subject.recipe.training.selection in ("auc", "average_precision"):
        yield from judged_datasets(subject)


def batch(subject: Subject) -> Iterator[Finding]:
    """Yield the sample that does not fill one batch."""
    videos, size = subject.videos, subject.recipe.batches.batch_size
    if videos is None or lacking_classes(videos, ("train",)):
        return
    sample = planned_sample(subject.run, videos, subject.missing)
    count = sum(sample.counts["train"])
    if count < size:
        number = f"about {count:,}" if subject.missing else f"{count:,}"
        yield Finding(
            f"The training sample has {number} faces ({sample.source}), less than a batch of {size}.",
            "Choose a smaller batches.batch_size, raise faces.rate_fps or faces.frames, or add videos.",
        )
