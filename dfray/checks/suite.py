"""The one list of checks, and the stages that each belongs to.

To add a check, write a function that yields findings, or raises a DfrayError, into a module of its subject,
and add its line to CHECKS. `dfray manifest check` and the dry runs of `train` and `run` run those of `run`,
any other stage and its dry run its own. A promotion needs Ray only if a model is not measured yet, so Ray's
room is checked by its session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from dfray.checks import cluster, disk, leaks, network, promotion, results, videos
from dfray.checks.finding import Finding, named_findings, report
from dfray.checks.subject import Subject

Stage = Literal["extract", "train", "search", "run", "evaluate", "register", "promote", "audit"]

_EXTRACTING: tuple[Stage, ...] = ("extract", "train", "search", "run")
_TRAINING: tuple[Stage, ...] = ("train", "search", "run")
_REGISTERING: tuple[Stage, ...] = ("search", "run", "register", "promote")
_MEASURING: tuple[Stage, ...] = ("run", "search", "evaluate")
_ON_RAY: tuple[Stage, ...] = (*_EXTRACTING, "evaluate")
_ALL: tuple[Stage, ...] = (*_ON_RAY, "register", "promote")


@dataclass(frozen=True)
class Check:
    """One entry of the list.

    Attributes:
        find: yields the findings, or raises the DfrayError that the stage would raise.
        stages: stages that the findings concern.
    """

    name: str
    find: Callable[[Subject], Iterable[Finding]]
    stages: tuple[Stage, ...]

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Return the findings, an error among them, with the check's name."""
        return named_findings(self.name, partial(self.find, subject))


CHECKS = (
    Check("cluster", cluster.cluster, _ON_RAY),
    Check("work_dir", disk.work_dir, _ALL),
    Check("model name", promotion.model_name, _REGISTERING),
    Check("tracking", promotion.tracking, (*_TRAINING, "register", "promote")),
    Check("corpora", videos.corpora, (*_EXTRACTING, "audit")),
    Check("equal files", leaks.equal_files, _EXTRACTING),
    Check("equal faces", leaks.equal_faces, (*_TRAINING, "evaluate")),
    Check("faces", videos.faces, _EXTRACTING),
    Check("disk", disk.space_for_faces, _EXTRACTING),
    Check("room to extract", cluster.extraction_room, _EXTRACTING),
    Check("room to train", cluster.training_room, ("train", "run")),
    Check("room for a trial", cluster.trial_room, ("search",)),
    Check("room to score", cluster.scoring_room, _MEASURING),
    Check("classes", videos.classes, _TRAINING),
    Check("pairs", videos.pairs, _TRAINING),
    Check("validation datasets", videos.judged_datasets, ("search",)),
    Check("selection", videos.selection, ("train", "run")),
    Check("batch", videos.batch, _TRAINING),
    Check("network", network.network, _TRAINING),
    Check("search space", network.space, ("search",)),
    Check("gates", promotion.gates, ("run", "promote")),
    Check("protocols", promotion.protocols, (*_MEASURING, "register", "promote")),
    Check("model", results.model, ("evaluate",)),
    Check("measured faces", results.measured_faces, ("evaluate",)),
    Check("figures", results.figures, ("register",)),
)


def find_problems(subject: Subject, stage: Stage) -> list[Finding]:
    """Return what the checks of a stage find, warnings too."""
    checks = (check for check in CHECKS if stage in check.stages)
    return [finding for check in checks for finding in check.findings(subject)]


def require_sound(subject: Subject, stage: Stage) -> None:
    """Run the checks of a stage before it spends anything; warnings are printed to stderr.

    Raises:
        CheckError: the stage would fail; the message lists all reasons.
    """
    report(find_problems(subject, stage))
