"""Checks of the Ray cluster: its answer, and its CPUs and GPUs, without a session."""

from __future__ import annotations

from collections.abc import Iterator

from dfray.checks.finding import Finding
from dfray.checks.subject import Subject
from dfray.resources import Need, lacking
from dfray.session import no_room, require_cluster, starts_cluster
from dfray.training.needs import training_needs


def cluster(subject: Subject) -> Iterator[Finding]:
    """Yield the cluster that does not answer, refuses the token, or runs another Ray."""
    require_cluster(subject.recipe.cluster)
    yield from ()


def extraction_room(subject: Subject) -> Iterator[Finding]:
    """Yield the CPU that the extraction lacks."""
    section = subject.recipe.cluster
    yield from _room(subject, [Need("extraction", 1, labels=section.extract_on)])


def training_room(subject: Subject) -> Iterator[Finding]:
    """Yield the CPUs and GPUs that the training lacks."""
    recipe = subject.recipe
    streaming = recipe.batches.stream_first_epoch and subject.missing > 0
    workers = recipe.training.worker_counts[0]
    needs = training_needs(recipe, subject.nodes or [], workers=workers, streaming=streaming)
    yield from _room(subject, needs)


def trial_room(subject: Subject) -> Iterator[Finding]:
    """Yield the CPUs and GPUs that one trial of the search lacks."""
    workers = subject.recipe.search.trial_workers
    yield from _room(subject, training_needs(subject.recipe, subject.nodes or [], workers=workers))


def scoring_room(subject: Subject) -> Iterator[Finding]:
    """Yield the CPUs that the scoring actors lack."""
    yield from _room(subject, [Need("scoring", subject.recipe.evaluation.num_workers)])


def _room(subject: Subject, needs: list[Need]) -> Iterator[Finding]:
    """Yield needs that the nodes cannot meet, unless an autoscaler may add some."""
    section = subject.recipe.cluster
    if subject.nodes is None or (section.wait_s and not starts_cluster(section)):
        return
    if sentence := lacking(needs, subject.nodes):
        yield Finding.of(no_room(sentence))
