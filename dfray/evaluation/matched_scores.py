"""Scores of a file set against the truth: VIDEO_SCORES, and all that did not match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from dfray.errors import UserError
from dfray.evaluation.aggregate import NOT_EXTRACTED, VIDEO_SCORES
from dfray.evaluation.given_scores import GivenScore, GivenScores
from dfray.evaluation.given_truth import Truths

_SHOWN = 3
"""Examples of each kind of mismatch."""
_ABSENT = GivenScore(None, NOT_EXTRACTED, "it has no row among the scores", 0)


@dataclass(frozen=True)
class MatchedScores:
    """Scores with their truth.

    Attributes:
        videos: VIDEO_SCORES of every video of the truth; those that the scores lack have no score.
        mismatches: a sentence for each kind, with its count and examples.
        copies: video_ids of files that another video_id before them has, too: pooled figures count one.
    """

    videos: pa.Table
    mismatches: tuple[str, ...]
    copies: frozenset[str]


def match_scores(scores: GivenScores, truths: Truths, split: str) -> MatchedScores:
    """Return the scores of the videos of the truth.

    Raises:
        UserError: no video has a row in both.
    """
    keyed = [(scores.key_of(truth.place), truth) for truth in truths.videos]
    absent = [key for key, _ in keyed if key not in scores.by_key]
    labelled = {key for key, _ in keyed}
    unlabelled = [key for key in scores.by_key if key not in labelled]
    if len(absent) == len(keyed):
        raise UserError(
            f"No video has both a score and a label: {scores.uri} has {_examples(unlabelled)}, the labels "
            f"{_examples(absent)}.",
            "Names must be the same path or URI; a relative one counts from the file that has it.",
        )
    rows, copies, seen = [], set[str](), set[str]()
    for key, truth in sorted(keyed, key=lambda pair: pair[1].video_id):
        if key in seen:
            copies.add(truth.video_id)
        seen.add(key)
        found = scores.by_key.get(key, _ABSENT)
        given = {"status": found.status, "reason": found.reason, "n_faces": found.n_faces}
        rows.append(asdict(truth) | given | {"split": split, "fake_probability": found.probability})
    mismatches = tuple(_mismatches(absent, unlabelled, scores, truths, split))
    return MatchedScores(VIDEO_SCORES.from_rows(rows), mismatches, frozenset(copies))


def _mismatches(
    absent: Sequence[str],
    unlabelled: Sequence[str],
    scores: GivenScores,
    truths: Truths,
    split: str,
) -> list[str]:
    told = []
    if absent:
        told.append(
            f"{len(absent):,} label(s) have no row among the scores; they count as videos without a score: "
            f"{_examples(absent)}."
        )
    if unlabelled:
        told.append(
            f"{len(unlabelled):,} score(s) have no label and are left out: {_examples(unlabelled)}."
        )
    if truths.n_repeated:
        told.append(f"{truths.n_repeated:,} label(s) are there twice, and count once.")
    if scores.n_repeated:
        told.append(f"{scores.n_repeated:,} score(s) are there twice, and count once.")
    for name, count in truths.other_splits.items():
        told.append(f"{count:,} label(s) are of the {name} split, not of {split}: left out.")
    return told


def _examples(names: Sequence[str]) -> str:
    """Return the first names, and how many others there are."""
    rest = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {rest:,} more" if rest > 0 else "")
