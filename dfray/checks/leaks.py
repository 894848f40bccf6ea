"""Checks of leaks: videos of equal content in training and in test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dfray.audit.equal import EqualVideos
from dfray.checks.finding import Finding, report
from dfray.checks.subject import Subject
from dfray.faces.view import FacesView

_NAMED = 5
_ADVICE = (
    "A video that is trained on, or chooses a model, must not be tested on: remove one of each, or give them "
    "one split. `dfray audit` lists all."
)


def equal_files(subject: Subject) -> Iterator[Finding]:
    """Yield the files that lie in training and in test, under whatever names."""
    from dfray.audit.equal_files import equal_files as find

    if subject.videos is not None:
        limit_s = subject.recipe.faces.stall_limit_s
        groups = find(subject.videos, limit_s, crossing_alone=True)
        yield from _refusal(groups, "files of equal bytes")


def equal_faces(subject: Subject) -> Iterator[Finding]:
    """Yield the stored videos whose faces are equal, whatever their files, in training and in test."""
    if (videos := subject.videos) is not None:
        yield from _equal_faces(subject.run.faces_of(videos))


def require_distinct_faces(faces: FacesView) -> None:
    """Refuse equal faces in training and in test, once the extraction that a training waits for has ended.

    Raises:
        CheckError: videos in training and in test have equal faces.
    """
    report(list(_equal_faces(faces)))


def _equal_faces(faces: FacesView) -> Iterator[Finding]:
    from dfray.audit.equal_faces import equal_faces as find

    groups = [group for group in find(faces.summaries()) if group.crosses]
    yield from _refusal(groups, "videos of equal decoded faces")


def _refusal(groups: Sequence[EqualVideos], what: str) -> Iterator[Finding]:
    if groups:
        named = "; ".join(map(str, groups[:_NAMED]))
        more = f"; and {len(groups) - _NAMED:,} more" if len(groups) > _NAMED else ""
        yield Finding(
            f"{len(groups):,} group(s) of {what} are in training (train or val) and in test: "
            f"{named}{more}.",
            _ADVICE,
        )
