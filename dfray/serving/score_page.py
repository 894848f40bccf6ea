"""Page of scored inputs: one self-contained HTML file that a person can read, file and print.

It loads nothing and runs no script: styles and pictures are inside, charts are SVG, and its content security
policy forbids the rest. Every string from outside is escaped.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dfray import storage
from dfray.evaluation.reference import Reference
from dfray.models.bundle import Bundle
from dfray.pages.page import stylesheet, template_environment
from dfray.pages.style import LINES
from dfray.serving.examination import Examination
from dfray.serving.page_model import PageModel
from dfray.serving.score_pictures import Moment, Wanted, key_moments
from dfray.serving.score_timeline import HEIGHT, WIDTH, Timeline, moment_name, timeline
from dfray.serving.score_words import doubts, meaning, verdict

MAX_PICTURED = 100
"""Inputs of one page that keep their pictures: those of the highest scores."""
KINDS = {"most": "most suspicious", "least": "least suspicious", "person": "another person"}


@dataclass(frozen=True)
class PersonRow:
    """One person of an input: faces, time of the first and the last, mean and highest probability."""

    number: int
    n_faces: int
    first: str
    last: str
    mean: float
    highest: float


@dataclass(frozen=True)
class Section:
    """All that the page says of one input.

    Attributes:
        truth: what is known of it, if it is.
        unexplained: why there are no saliency maps, if there are none.
        facts: (name, value) of the file.
    """

    examination: Examination
    truth: str | None
    verdict: str
    meaning: Sequence[str]
    timeline: Timeline | None
    persons: Sequence[PersonRow]
    moments: Sequence[Moment]
    unexplained: str | None
    doubts: Sequence[str]
    facts: Sequence[tuple[str, str]]


def section_of(
    examination: Examination,
    bundle: Bundle,
    reference: Reference | None,
    wanted: Wanted,
    *,
    sha256: str | None,
    truth: str | None = None,
) -> Section:
    """Return the section of one input.

    Args:
        wanted: moments that are shown of it.
        sha256: of the file; None: it could not be read.
        truth: what is known of it.
    """
    moments, unexplained = key_moments(examination, bundle, wanted)
    input_px = bundle.recipe["model"]["size_px"]
    return Section(
        examination=replace(examination, kept={}),
        truth=truth,
        verdict=verdict(examination, bundle.threshold),
        meaning=meaning(examination.score.fake_probability, reference),
        timeline=timeline(examination.faces, bundle.threshold),
        persons=_persons(examination),
        moments=moments,
        unexplained=unexplained,
        doubts=doubts(examination, input_px, reference),
        facts=_facts(examination, sha256),
    )


class ScorePage:
    """The page while its sections come: only those of the highest scores keep their pictures."""

    def __init__(self) -> None:
        self._sections: list[Section] = []

    def add(self, section: Section) -> None:
        place = bisect(self._sections, _order(section), key=_order)
        self._sections.insert(place, section)
        if len(self._sections) > MAX_PICTURED:
            loses = max(place, MAX_PICTURED)  # those behind have lost their pictures before
            self._sections[loses] = replace(self._sections[loses], moments=[])

    def html(self, model: PageModel, remark: str = "") -> bytes:
        """Return the page.

        Args:
            remark: on what the page covers.
        """
        page = template_environment("dfray.serving").get_template("score.html.jinja")
        return page.render(
            sections=self._sections,
            model=model.facts,
            limits=model.limits,
            video_rule=model.video_rule,
            threshold=model.threshold,
            remark=remark,
            n_pictured=MAX_PICTURED,
            kinds=KINDS,
            colours=LINES,
            width=WIDTH,
            height=HEIGHT,
            moment_name=moment_name,
            css=stylesheet(),
        ).encode()

    def write(self, uri: str, model: PageModel, remark: str = "") -> None:
        """Write the page to `uri`, atomically.

        Raises:
            StorageError: the file cannot be written.
        """
        storage.write_bytes(self.html(model, remark), uri)


def _order(section: Section) -> tuple[bool, float, str]:
    score = section.examination.score
    return score.fake_probability is None, -(score.fake_probability or 0.0), score.file


def _persons(examination: Examination) -> list[PersonRow]:
    rows = []
    for person in sorted({face.person for face in examination.faces}):
        faces = [face for face in examination.faces if face.person == person]
        values = [face.fake_probability for face in faces]
        rows.append(
            PersonRow(
                person + 1,
                len(faces),
                moment_name(faces[0]),
                moment_name(faces[-1]),
                sum(values) / len(values),
                max(values),
            )
        )
    return rows


def _facts(examination: Examination, sha256: str | None) -> list[tuple[str, str]]:
    score, stream = examination.score, examination.stream
    size = f"{stream.width} × {stream.height} px" if stream.width else None
    values: dict[str, Any] = {
        "file": score.file,
        "SHA-256": sha256 or "not known: the file could not be read",
        "codec": stream.codec,
        "coded picture": size,
        "frame rate": f"{stream.fps:.3f} frames/s" if stream.fps else None,
        "bit rate": f"{stream.bit_rate:,} bits/s" if stream.bit_rate else None,
        "length": f"{stream.duration_s:.2f} s" if stream.duration_s else None,
        "pixel aspect": f"{stream.pixel_aspect:g}" if stream.pixel_aspect else None,
        "transfer": stream.transfer,
        "interlacing": stream.interlacing,
        "rotation": f"{stream.rotation_deg}°" if stream.rotation_deg else None,
        "sampled frames": f"{score.n_frames:,}, {score.n_faces:,} faces in them",
        "outcome": score.outcome + (f": {score.reason}" if score.reason else ""),
        "faces": score.faces_note and f"the model {score.faces_note}",
    }
    return [(name, str(value)) for name, value in values.items() if value is not None]
