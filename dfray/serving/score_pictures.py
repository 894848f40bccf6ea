"""Key moments of an input: frames of its most and least suspicious faces, with what moved the score."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dfray.errors import EvaluationError
from dfray.evaluation.saliency import overlay, saliency_maps
from dfray.models.bundle import Bundle
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.kept_faces import KeptFace

SIDE_PX = 160
"""Side of the pictures of faces."""


@dataclass(frozen=True)
class Wanted:
    """How many moments of one input are shown: of each end, and of persons that neither shows."""

    most: int = 4
    least: int = 2
    persons: int = 4


ALONE, AMONG_FEW, AMONG_MANY = Wanted(), Wanted(2, 1, 1), Wanted(1, 0, 0)
FEW = 8
"""Inputs of one page up to which each has more than one moment."""


@dataclass(frozen=True)
class Moment:
    """One face in its frame.

    Attributes:
        kind: most, least or person.
        others: other faces of the frame.
        frame, crop, evidence: JPEG files; `evidence` has a saliency map over the crop, None: there is none.
        toward_fake: the map shows what spoke for fake, else for real.
    """

    kind: str
    face: ScoredFace
    others: Sequence[ScoredFace]
    frame: bytes = field(repr=False)
    crop: bytes = field(repr=False)
    evidence: bytes | None = field(repr=False)
    toward_fake: bool


def wanted_of(n_inputs: int) -> Wanted:
    """Return the moments of each input of a page of so many."""
    if n_inputs == 1:
        return ALONE
    return AMONG_FEW if n_inputs <= FEW else AMONG_MANY


def key_moments(
    examination: Examination, bundle: Bundle, wanted: Wanted
) -> tuple[list[Moment], str | None]:
    """Return the moments of an input, and why they have no saliency maps, if they have none."""
    chosen = _chosen(examination, wanted)
    if not chosen:
        return [], None
    faces = [examination.faces[number] for number, _ in chosen]
    kept = [examination.kept[number] for number, _ in chosen]
    toward_fake = [face.fake_probability >= bundle.threshold for face in faces]
    try:
        maps: Sequence[bytes | None] = _maps(bundle, kept, toward_fake)
        unexplained = None
    except EvaluationError as error:
        maps, unexplained = [None] * len(kept), str(error)
    return [
        Moment(
            kind,
            face,
            [other for other in examination.faces if _is_beside(other, face)],
            jpeg(pictures.thumbnail if pictures.thumbnail is not None else pictures.crop),
            jpeg(pictures.crop, SIDE_PX),
            evidence,
            toward,
        )
        for (_, kind), face, pictures, evidence, toward in zip(
            chosen, faces, kept, maps, toward_fake, strict=True
        )
    ], unexplained


def _chosen(examination: Examination, wanted: Wanted) -> list[tuple[int, str]]:
    """Return (number of a face, kind) of the moments, in other frames each, spread in time."""
    faces = examination.faces
    rising = sorted(examination.kept, key=lambda number: faces[number].fake_probability)
    chosen: dict[int, str] = {}
    for kind, order, count in (
        ("most", rising[::-1], wanted.most),
        ("least", rising, wanted.least),
    ):
        gap = _n_frames(examination) / (4 * count) if count else 0.0
        for least_gap in (gap, 1.0):
            for number in order:
                is_far = all(_apart(faces[number], faces[n]) >= least_gap for n in chosen)
                if is_far and list(chosen.values()).count(kind) < count:
                    chosen[number] = kind
    shown = {faces[number].person for number in chosen}
    for number in rising[::-1]:
        person = faces[number].person
        if person not in shown and list(chosen.values()).count("person") < wanted.persons:
            chosen[number] = "person"
            shown.add(person)
    return list(chosen.items())


def _n_frames(examination: Examination) -> int:
    return max(face.frame_index for face in examination.faces) + 1 if examination.faces else 0


def _apart(face: ScoredFace, other: ScoredFace) -> float:
    """Return how many sampled frames apart two faces are."""
    return abs(face.frame_index - other.frame_index)


def _is_beside(other: ScoredFace, face: ScoredFace) -> bool:
    return other.frame_index == face.frame_index and other.face_index != face.face_index


def _maps(bundle: Bundle, kept: Sequence[KeptFace], toward_fake: Sequence[bool]) -> list[bytes]:
    crops = np.stack([pictures.crop for pictures in kept])
    maps = np.empty(crops.shape[:3], np.float32)
    for toward in set(toward_fake):
        of_call = np.array(toward_fake) == toward
        maps[of_call] = saliency_maps(bundle, crops[of_call], toward_fake=toward)
    return [jpeg(overlay(crop, found), SIDE_PX) for crop, found in zip(crops, maps, strict=True)]


def jpeg(image: np.ndarray, side_px: int | None = None) -> bytes:
    """Return a picture, uint8 (h, w, 3) RGB, as a JPEG file; resized to a square of `side_px`, if given."""
    from PIL import Image

    picture = Image.fromarray(image)
    if side_px is not None:
        picture = picture.resize((side_px, side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
