"""Result of an audit: what was found, what could not be told, and a verdict on each part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from dfray.audit.equal import EqualVideos
from dfray.audit.metadata_probe import MARGIN, ProbeResult
from dfray.audit.near_duplicates import NearDuplicate
from dfray.audit.people import SharedPeople
from dfray.evaluation.strata import STRATIFIED, StratifiedAuc

State = Literal["refuse", "warn", "unknown", "ok"]
"""refuse: stages refuse such videos; unknown: it could not be told, or not of all."""


@dataclass(frozen=True)
class Verdict:
    """One part of the audit in a sentence."""

    part: str
    state: State
    sentence: str


@dataclass(frozen=True)
class Audit:
    """Result of an audit of one run's videos.

    Attributes:
        files: groups of equal files; None: files were not compared.
        faces: groups of equal faces whose files are not known to be equal.
        near: near-duplicates across splits.
        people: an entry for each dataset of training and of the test.
        probe: of metadata; empty before the extraction.
        strata: of the last evaluation; empty before it.
        n_videos, n_extracted: videos of the manifest, and those whose faces are stored.
        n_without_prints: of these, with faces of the time before there were digests and hashes of them.
    """

    files: tuple[EqualVideos, ...] | None
    faces: tuple[EqualVideos, ...]
    near: tuple[NearDuplicate, ...]
    people: tuple[SharedPeople, ...]
    probe: tuple[ProbeResult, ...]
    strata: tuple[StratifiedAuc, ...]
    n_videos: int
    n_extracted: int
    n_without_prints: int

    @property
    def verdicts(self) -> list[Verdict]:
        """A verdict on each part."""
        on_files = [] if self.files is None else [self._on_equal("equal files", self.files, "")]
        return [
            *on_files,
            self._on_equal("equal faces", self.faces, self._untold),
            self._on_near(),
            self._on_people(),
            self._on_probe(),
            self._on_strata(),
        ]

    @property
    def is_refused(self) -> bool:
        """True if a video is in training and in test."""
        return any(verdict.state == "refuse" for verdict in self.verdicts)

    @property
    def _untold(self) -> str:
        """What cannot be told of faces, as a sentence; empty: nothing."""
        parts = [self._missing] if self._missing else []
        if self.n_without_prints:
            parts.append(f"{self.n_without_prints:,} were extracted by an earlier dfray")
        return "; ".join(parts)

    @property
    def _missing(self) -> str:
        """What is not extracted, as a sentence; empty: all is."""
        missing = self.n_videos - self.n_extracted
        return f"{missing:,} of {self.n_videos:,} videos have no faces yet" if missing else ""

    def _on_equal(self, part: str, groups: tuple[EqualVideos, ...], untold: str) -> Verdict:
        crossing = sum(group.crosses for group in groups)
        contradicting = sum(group.contradicts for group in groups)
        within = len(groups) - crossing
        sentences = [f"{crossing:,} group(s) in training and in test"] if crossing else []
        sentences += [f"{contradicting:,} labelled real and fake"] if contradicting else []
        sentences += [f"{within:,} elsewhere, which count once in figures"] if within else []
        state: State = "refuse" if crossing else "warn" if contradicting else "ok"
        if state == "ok" and untold:
            state = "unknown"
        found = "; ".join(sentences) or "none found"
        return Verdict(part, state, _with_untold(found, untold))

    def _on_near(self) -> Verdict:
        news = len(self.near)
        stated = sum(pair.is_stated for pair in self.near)
        found = f"{news:,} pair(s) of training and test look alike" if news else "none found"
        found += f", {stated:,} of them of one source by the corpus" if stated else ""
        untold = self._untold
        state: State = "warn" if news else "unknown" if untold else "ok"
        return Verdict("near-duplicates", state, _with_untold(found, untold))

    def _on_people(self) -> Verdict:
        sharing = [pair for pair in self.people if pair.shared]
        unknown = sum(not pair.is_told for pair in self.people)
        named = "; ".join(f"{pair.trained} and {pair.tested}: {pair}" for pair in sharing)
        state: State = "warn" if sharing else "unknown" if unknown else "ok"
        found = named or "none shared, by name or by origin"
        if unknown:
            found += f"; not known of {unknown:,} of {len(self.people):,} pair(s) of datasets"
        return Verdict("people in training and test", state, found)

    def _on_probe(self) -> Verdict:
        single = [result for result in self.probe if not result.is_pooled]
        untold = [*_untold_datasets(single)]
        untold += [] if single else ["no video of the test has a face"]
        untold += [self._missing] if self._missing else []
        if not any(result.auc for result in single):
            return Verdict("metadata", "unknown", "; ".join(untold))
        shortcuts = "; ".join(_shortcut(result) for result in single if result.is_shortcut)
        found = f"no AUC is surely above {0.5 + MARGIN:g}"
        if shortcuts:
            found = f"tells fakes from real videos in {shortcuts}"
        state: State = "warn" if shortcuts else "unknown" if untold else "ok"
        return Verdict("metadata", state, _with_untold(found, "; ".join(untold)))

    def _on_strata(self) -> Verdict:
        told = [entry for entry in self.strata if entry.stratified and entry.plain]
        if not told:
            return Verdict("stratified AUC", "unknown", "no evaluation yet, or too few videos")
        worst = min(told, key=lambda entry: _advantage(entry))
        name = STRATIFIED[worst.property].partition(",")[0]
        assert worst.stratified is not None
        assert worst.plain is not None
        sentence = (
            f"{worst.dataset}: {worst.stratified.value:.3f} within videos of like {name}, "
            f"{worst.plain.value:.3f} plain"
        )
        is_lost = worst.stratified.high < worst.plain.value
        return Verdict("stratified AUC", "warn" if is_lost else "ok", sentence)

    def to_json(self) -> bytes:
        """Return the result as JSON, with its verdicts."""
        import json

        values = _ADAPTER.dump_python(self, mode="json")
        verdicts = [vars(verdict) for verdict in self.verdicts]
        return json.dumps({"verdicts": verdicts} | values, indent=2).encode()


_ADAPTER = TypeAdapter(Audit)


def _advantage(entry: StratifiedAuc) -> float:
    assert entry.stratified is not None
    assert entry.plain is not None
    return entry.stratified.value - entry.plain.value


def _with_untold(found: str, untold: str) -> str:
    return f"{found}; not known: {untold}" if untold else found


def _untold_datasets(results: Sequence[ProbeResult]) -> Iterator[str]:
    """Yield a sentence for each dataset that no result has an AUC of."""
    told = {result.dataset for result in results if result.auc is not None}
    reasons = {result.dataset: result.reason for result in results if result.dataset not in told}
    yield from (f"{dataset}: {reason}" for dataset, reason in reasons.items())


def _shortcut(result: ProbeResult) -> str:
    assert result.auc is not None
    alone = ", ".join(title.partition(" (")[0] for title, _ in result.alone)
    by = f" (by {alone})" if alone else ""
    return f"{result.dataset}: AUC {result.auc.value:.3f}{by}"


def listed(audit: Audit) -> Iterator[tuple[str, list[str]]]:
    """Yield (title, lines) of the videos that the audit names."""
    for groups, what in ((audit.files or (), "bytes"), (audit.faces, "faces")):
        title = f"groups of equal {what}"
        yield f"{title}, in training and in test", [str(g) for g in groups if g.crosses]
        yield f"{title}, not in both", [str(g) for g in groups if not g.crosses]
    yield "near-duplicates in training and in test", [str(pair) for pair in audit.near]
