"""People that corpora of training share with those of the test, for each pair: a number, none, or not known.

A detector that has seen a person's real videos in training may know the person, and not the forgery. Names
are counted where the corpora state them (`names`); where they do not, what their makers say of the origin of
their videos decides (`ORIGINS`), and otherwise the number is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from dfray.audit.equal import TRAINED
from dfray.audit.names import DATASETS, Named, named_people
from dfray.config import CorpusSection

ACTORS, WEB, GENERATED = "actors", "web", "generated"
Origin = Literal["actors", "web", "generated"]
ORIGINS: Mapping[str, tuple[Origin, str]] = {
    "ffpp": ("web", "YouTube (arXiv 1901.08971 section 3)"),
    "celeb_df": ("web", "59 celebrities on YouTube (arXiv 1909.12962 section 3)"),
    "df40": ("web", "Celeb-DF v2's (arXiv 2406.13495 section 3)"),
    "fakeavceleb": ("web", "500 people of VoxCeleb2 (arXiv 2108.05080 section 3)"),
    "ffiw": ("web", "YouTube (arXiv 2103.16076)"),
    "wilddeepfake": ("web", "videos found online (arXiv 2101.01456)"),
    "deepfake_eval_2024": ("web", "videos found online in 2024 (arXiv 2503.02857)"),
    "dfd": ("actors", "actors whom Google filmed for it"),
    "dfdc": ("actors", "actors filmed for it (arXiv 2006.07397)"),
    "dfdc_preview": ("actors", "actors filmed for it (arXiv 1910.08854)"),
    "celeb_df_pp": ("web", "Celeb-DF v2's (arXiv 2507.18015)"),
    "deepspeak_v2": ("actors", "people who filmed themselves for it (arXiv 2408.05366)"),
    "kodf": ("actors", "403 Koreans filmed for it (arXiv 2103.10094)"),
    "idforge": ("web", "54 celebrities, videos found online (arXiv 2401.11764)"),
    "demo": ("generated", "drawn from a seed"),
}
"""Reader -> where its people come from, and who says so."""
UNNAMED_DONORS = {
    "fakeavceleb": "the donors of its swapped faces are not named",
    "deepspeak_v2": "the donors of its swapped faces are in its lists alone",
    "kodf": "the donors of its swapped faces are in its lists alone",
    "idforge": "the stand-ins whose faces are swapped are not named",
}
"""Reader -> people whom its names leave out."""
Known = Literal["number", "none", "not known"]


@dataclass(frozen=True)
class SharedPeople:
    """People of one dataset of training (train or val) and one of the test.

    Attributes:
        known: number: `shared` counts names; none: so by the origin of the videos; or not known.
        shared: people in both, by their names.
        of: people of the tested dataset who are named.
        unnamed: tested videos that name nobody.
        reason: on what the entry rests.
        unnamed_trained: videos of training that name nobody.
        lacks_donors: videos of either side name not all of their people.
    """

    trained: str
    tested: str
    known: Known
    shared: int | None
    of: int
    unnamed: int
    reason: str
    unnamed_trained: int = 0
    lacks_donors: bool = False

    @property
    def is_told(self) -> bool:
        """True if somebody is shared, or nobody can be: all people are named, or of other origins."""
        if self.known != "number":
            return self.known == "none"
        return bool(self.shared) or not (self.unnamed or self.unnamed_trained or self.lacks_donors)

    def __str__(self) -> str:
        if self.known != "number":
            return self.known
        if self.shared == 0:
            return f"none of {self.of:,} named"
        return f"{self.shared:,} of {self.of:,} named"


def shared_people(videos: pa.Table, corpora: Sequence[CorpusSection]) -> list[SharedPeople]:
    """Return an entry for each pair of a dataset of train or val and a dataset of test.

    Args:
        videos: VIDEOS.
        corpora: of the recipe, which tell how a dataset's videos name people.
    """
    sources = _sources(corpora, videos["dataset"].unique().to_pylist())
    people: defaultdict[tuple[str, bool], list[Named | None]] = defaultdict(list)
    columns = ("dataset", "split", "video_id", "identity")
    for dataset, split, video, identity in zip(
        *(videos[c].to_pylist() for c in columns), strict=True
    ):
        named = named_people(sources[dataset], video, identity)
        people[dataset, split in TRAINED].append(named)
    trained, tested = (
        sorted(dataset for dataset, is_trained in people if is_trained == wanted)
        for wanted in (True, False)
    )
    return [
        _pair(one, other, sources, people[one, True], people[other, False])
        for one in trained
        for other in tested
    ]


def _pair(
    trained: str,
    tested: str,
    sources: Mapping[str, str],
    seen: Sequence[Named | None],
    new: Sequence[Named | None],
) -> SharedPeople:
    seen_names = {name for named in seen if named for name in named}
    new_names = {name for named in new if named for name in named}
    unnamed, unnamed_trained = (sum(not named for named in side) for side in (new, seen))
    counts = (len(new_names), unnamed)
    spaces = {name[0] for name in seen_names} & {name[0] for name in new_names}
    if not spaces:
        known, reason = _by_origin(trained, tested, sources)
        return SharedPeople(trained, tested, known, None, *counts, reason, unnamed_trained)
    shared = sum(name in seen_names for name in new_names)
    reasons = ["by the names that the corpora state"]
    for count, side, what in ((unnamed, new, "tested"), (unnamed_trained, seen, "trained")):
        if count:
            reasons.append(f"{count:,} of {len(side):,} {what} videos name nobody")
    donors = sorted({sources[trained], sources[tested]} & UNNAMED_DONORS.keys())
    reason = "; ".join([*reasons, *(UNNAMED_DONORS[name] for name in donors)])
    return SharedPeople(
        trained, tested, "number", shared, *counts, reason, unnamed_trained, bool(donors)
    )


def _by_origin(trained: str, tested: str, sources: Mapping[str, str]) -> tuple[Known, str]:
    if trained == tested:
        return "not known", "the corpus names no people on both sides"
    one, other = (ORIGINS.get(sources[name].partition(" ")[0]) for name in (trained, tested))
    if one is None or other is None:
        unstated = " and ".join(
            name for name, at in ((trained, one), (tested, other)) if at is None
        )
        return "not known", f"nothing is stated of the people of {unstated}"
    origins = f"{trained}: {one[1]}; {tested}: {other[1]}"
    return ("not known" if one[0] == other[0] else "none"), origins


def _sources(corpora: Sequence[CorpusSection], datasets: Iterable[str]) -> dict[str, str]:
    """Return dataset -> its reader, with the root of a list or a folder, whose names are its own.

    A dataset that no corpus names is of the only list or folder, or a source by itself.
    """
    named = {corpus.dataset or DATASETS.get(corpus.reader): _source(corpus) for corpus in corpora}
    others = [_source(corpus) for corpus in corpora if corpus.reader not in DATASETS]
    of_rest = others[0] if len(others) == 1 else None
    return {name: named.get(name) or of_rest or f"dataset {name}" for name in datasets}


def _source(corpus: CorpusSection) -> str:
    return corpus.reader if corpus.reader in DATASETS else f"{corpus.reader} {corpus.root}"
