"""Sentences about a score: the verdict, what validation tells of it, and what could not be judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dfray.evaluation.aggregate import MIN_FACES
from dfray.evaluation.reference import ENOUGH, Reference, Share
from dfray.serving.examination import Examination, ScoredFace

DARK = 40.0
"""Mean luma of a crop below which little of a face can be seen, whatever validation had."""

_BELOW: dict[str, tuple[str, Callable[[ScoredFace], float]]] = {
    "face_px": ("smaller", lambda face: face.face_px),
    "sharpness": ("more blurred", lambda face: face.sharpness),
    "brightness": ("darker", lambda face: face.brightness),
}
_ABOVE = {"face_px": "larger", "sharpness": "sharper", "brightness": "brighter"}
_UNITS = {"face_px": " px", "sharpness": "", "brightness": ""}


def verdict(examination: Examination, threshold: float) -> str:
    """Return the verdict in one sentence."""
    score = examination.score
    if score.fake_probability is None:
        return f"No verdict: {score.reason or 'no face was found'}."
    side = "at or above" if score.label == "fake" else "below"
    call = "Called fake" if score.label == "fake" else "Not called fake"
    return (
        f"{call}: the score {score.fake_probability:.3f} is {side} the threshold {threshold:.4g}."
    )


def meaning(probability: float | None, reference: Reference | None) -> list[str]:
    """Return what validation's videos tell of a score."""
    if probability is None:
        return []
    if reference is None:
        return [
            "What the score means is not known: the model carries no scores of validation videos. It is of "
            "an earlier dfray, or its threshold was not fitted on validation."
        ]
    near = reference.meaning(probability)
    between = f"with a score of {near.low:.2f} to {near.high:.2f}"
    if near.fakes is None:
        sentences = [f"No validation video {between}: what the score means is not known."]
    else:
        few = " These are few videos." if near.fakes.of < ENOUGH else ""
        of = near.fakes.of
        sentences = [
            f"Of {of} validation video{'' if of == 1 else 's'} {between}, {near.fakes.count} "
            f"{'was' if near.fakes.count == 1 else 'were'} fake ({_share(near.fakes)}).{few}"
        ]
    sentences += [
        "False alarms at this threshold, among validation's real videos: "
        f"{_counted(reference.false_alarms)}. Fakes found: {_counted(reference.found)}.",
        f"{100 * reference.fakes_share:.0f} % of the validation videos were fake. Where fakes are rarer, a "
        "video with this score is fake less often.",
    ]
    return sentences


def _counted(share: Share) -> str:
    if not share.of:
        return "not known, as it had none"
    return f"{share.count} of {share.of} ({_share(share)})"


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{100 * share.value:.0f} %; 95 % interval {100 * low:.0f} to {100 * high:.0f} %"


def doubts(examination: Examination, input_px: int, reference: Reference | None) -> list[str]:
    """Return what could not be judged, or only badly, and why; empty if there is nothing to say.

    Args:
        input_px: side of the network's input.
    """
    return [
        *_frames(examination),
        *_persons(examination),
        *_absolute(examination.faces, input_px),
        *_unlike(examination, reference),
    ]


def _frames(examination: Examination) -> Iterator[str]:
    outcomes, n_frames = examination.outcomes, examination.outcomes.total()
    if outcomes["no_face"]:
        yield f"{_of(outcomes['no_face'], n_frames, 'sampled frame')} without a face: not judged."
    if examination.n_doubtful:
        yield (
            f"{_of(examination.n_doubtful, n_frames, 'sampled frame')} with a doubtful face, which nothing "
            "confirmed: it was not judged."
        )
    if outcomes["decode_error"]:
        yield f"{_of(outcomes['decode_error'], n_frames, 'sampled frame')} could not be decoded."
    for reason, count in examination.reasons.most_common(5):
        yield f"{count} frame{'' if count == 1 else 's'}: {reason}."


def _persons(examination: Examination) -> Iterator[str]:
    persons, counts = np.unique([face.person for face in examination.faces], return_counts=True)
    rare = [int(person) + 1 for person in persons[counts < MIN_FACES]]
    if rare and (len(examination.faces) > 1 or examination.score.duration_s):
        names = ", ".join(map(str, rare[:10])) + (", …" if len(rare) > 10 else "")
        yield f"Fewer than {MIN_FACES} faces of person {names}: one face tells little."


def _absolute(faces: Sequence[ScoredFace], input_px: int) -> Iterator[str]:
    small = sum(face.face_px < input_px / 2 for face in faces)
    if small:
        yield (
            f"{_of(small, len(faces), 'face')} less than {input_px / 2:g} px wide: enlarged to more than "
            f"twice the size for the network's {input_px} px, which adds nothing that can be judged."
        )
    dark = sum(face.brightness < DARK for face in faces)
    if dark:
        yield f"{_of(dark, len(faces), 'face')} dark: mean luma below {DARK:g} of 255."


def _unlike(examination: Examination, reference: Reference | None) -> Iterator[str]:
    """Yield what lies out of the range of validation's faces and videos."""
    if reference is None:
        yield "Not known whether faces are unlike those of validation: the model carries no ranges."
        return
    faces = examination.faces
    for name, (low, high) in reference.ranges.items():
        if name not in _BELOW:
            continue
        words, value = _BELOW[name]
        for count, word, bound in (
            (sum(value(face) < low for face in faces), words, low),
            (sum(value(face) > high for face in faces), _ABOVE[name], high),
        ):
            if count:
                yield (
                    f"{_of(count, len(faces), 'face')} {word} than 99 % of validation's faces "
                    f"({'below' if bound == low else 'above'} {bound:.3g}{_UNITS[name]})."
                )
    yield from _compression(examination, reference)


def _compression(examination: Examination, reference: Reference) -> Iterator[str]:
    stream, ends = examination.stream, reference.ranges.get("quality")
    pixels = (stream.width or 0) * (stream.height or 0) * (stream.fps or 0)
    if ends and stream.bit_rate and pixels and stream.bit_rate / pixels < ends[0]:
        yield (
            f"The video is more compressed than 99 % of validation's: {stream.bit_rate / pixels:.3g} bits a "
            f"pixel, below {ends[0]:.3g}."
        )


def _of(count: int, of: int, item: str) -> str:
    return f"{count} of {of} {item}{'' if of == 1 else 's'}"
