"""Checks before anything is spent: everything that a stage would refuse later, listed at once.

subject    the run that is checked, and its videos
suite      the one list of checks, and the stages that each belongs to
finding    what a check finds
videos, leaks, network, promotion, cluster, disk    the checks, by what they look at
machine    the checks of `dfray doctor`, which need no recipe
"""

from dfray.checks.finding import Finding, report
from dfray.checks.subject import Subject
from dfray.checks.suite import CHECKS, Check, Stage, find_problems, require_sound

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Stage",
    "Subject",
    "find_problems",
    "report",
    "require_sound",
]
