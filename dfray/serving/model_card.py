"""The model card of a version: what it is for, on what it was made, how good it is, and under which terms.

Markdown, as MODEL_CARD.md in the package and as the version's description on MLflow's page. What must not be
overlooked comes first: MLflow cuts a description off at 5,000 characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dfray.config import ModelSection
from dfray.registry.measurements import HeadlineMetrics

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.evaluation.protocol import ColumnMetrics, Protocol

FILE = "MODEL_CARD.md"
DESCRIPTION_LIMIT = 5000  # characters, of MLflow's database
_CUT = f"\n\n… cut off here; the whole card is {FILE} in the package."
_NON_COMMERCIAL = re.compile(r"non-?commercial|\bNC\b", re.IGNORECASE)
_UNKNOWN = "not stated"

_USE = """\
To rank and screen videos and pictures of faces for a person who looks at them: a score near 1 says
"look here first". It sees single frames: no sound, no voice, no motion, nothing without a visible face.

**Not** as proof, and not as the only ground of a decision about a person. A detector errs more on forgeries,
cameras, compression and people that are unlike its training data; the figures below hold for the sets they
name and for no others. Its threshold was chosen for one balance of errors; choose another for another use."""


@dataclass(frozen=True)
class Corpus:
    """What one dataset gave: its licence (None: not stated), and videos by split."""

    dataset: str
    licence: str | None
    videos: Mapping[str, int]


@dataclass(frozen=True)
class Told:
    """What a card tells beside what the bundle and the MLflow run know.

    Attributes:
        corpora: that it was trained, validated and tested on.
        figures: Markdown: the tables of the evaluation, those of protocols after them.
    """

    corpora: Sequence[Corpus] = ()
    figures: str = ""

    @classmethod
    def of(cls, videos: pa.Table, figures: str) -> Self:
        """From VIDEOS of the manifest."""
        columns = (videos.column(name).to_pylist() for name in ("dataset", "licence", "split"))
        counts = Counter(zip(*columns, strict=True))
        found = sorted({(dataset, licence or "") for dataset, licence, _ in counts})
        corpora = [
            Corpus(
                dataset,
                licence or None,
                {
                    split: n
                    for (d, own, split), n in counts.items()
                    if (d, own or "") == (dataset, licence)
                },
            )
            for dataset, licence in found
        ]
        return cls(corpora, figures)


def write_card(
    model_name: str,
    description: Mapping[str, Any],
    run_tags: Mapping[str, str],
    figures: HeadlineMetrics,
    told: Told,
) -> str:
    """The card.

    Args:
        description: of the bundle.
        run_tags: of the MLflow run that made it: fingerprints and the code's commit.
        figures: the headline.
    """
    recipe = description["recipe"]
    licence = _weights_licence(recipe)
    parts = [
        f"# {model_name}: {recipe['name']}",
        recipe.get("description", ""),
        *_warning(licence, told.corpora),
        "## Intended use and limits",
        _USE,
        "## How good it is",
        _headline(figures),
        "## Made of",
        _made_of(description, run_tags, licence),
        "## Data",
        _data(told.corpora),
        *(["## Figures", told.figures] if told.figures else []),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def as_description(card: str) -> str:
    """The card as far as MLflow's page takes it."""
    if len(card) <= DESCRIPTION_LIMIT:
        return card
    return card[: DESCRIPTION_LIMIT - len(_CUT)] + _CUT


def protocol_table(protocol: Protocol, figures: Sequence[ColumnMetrics]) -> str:
    """A Markdown table of the protocol's columns that were measured; the others are counted."""
    head = f"| {protocol.title} | AUC | balanced accuracy | real | fake | note |"
    lines = [head, "|---|---:|---:|---:|---:|---|"]
    named = list(zip(protocol.headings, figures, strict=True))
    for (scenario, column), one in named:
        if one.auc is not None:
            cells = (_figure(one.auc), _figure(one.balanced_accuracy), one.n_real, one.n_fake)
            shown = " | ".join(map(str, cells))
            lines.append(f"| {scenario} / {column} | {shown} | {one.note or ''} |")
    absent = sum(one.auc is None for _, one in named)
    return "\n".join([*lines, "", f"{absent} of {len(named)} columns were not measured."])


def _weights_licence(recipe: Mapping[str, Any]) -> str | None:
    from dfray.models.sources import weights_licence

    return weights_licence(ModelSection.model_validate(recipe["model"]))


def _warning(weights: str | None, corpora: Sequence[Corpus]) -> list[str]:
    """The terms that forbid the most, loudly; nothing if every licence is stated and free of them."""
    terms = [("the weights it began with", weights)]
    terms += [(corpus.dataset, corpus.licence) for corpus in corpora]
    forbidding = [
        f"{what}: {terms}" for what, terms in terms if _NON_COMMERCIAL.search(terms or "")
    ]
    unknown = [what for what, terms in terms if terms is None]
    lines = []
    if forbidding:
        lines.append(
            "> **⚠ NON-COMMERCIAL USE ONLY.** Made with material under such terms: "
            + "; ".join(forbidding)
            + "."
        )
    if unknown:
        lines.append(
            f"> **⚠ TERMS NOT KNOWN** of {', '.join(unknown)}. Find them out before any other use than "
            "research of your own."
        )
    return lines


def _headline(figures: HeadlineMetrics) -> str:
    shown = [
        ("AUC, video level", _figure(figures.auc)),
        (f"balanced accuracy at {figures.threshold:.4g}", _figure(figures.balanced_accuracy)),
        ("expected calibration error", _figure(figures.calibration_error)),
        ("videos with a score", f"{figures.n_videos} ({figures.coverage:.1%})"),
        ("evaluation set", f"`{figures.evaluation_set}`"),
    ]
    if figures.worst_drop is not None:
        drop = f"{figures.worst_drop:.3f} ({figures.worst_kind})"
        shown.insert(3, ("worst drop of AUC under post-processing", drop))
    return "\n".join(f"- {name}: {value}" for name, value in shown)


def _made_of(description: Mapping[str, Any], tags: Mapping[str, str], licence: str | None) -> str:
    recipe, model = description["recipe"], description["recipe"]["model"]
    licence = licence or _UNKNOWN
    first = f"{model['weights']} (licence: {licence})" if model["weights"] else licence
    lines = [
        ("network", f"{model['backbone']}, {model['size_px']} px; classes "
                    f"{', '.join(description['class_names'])}"),
        ("first weights", first),
        ("recipe", f"{recipe['name']}, fingerprint `{tags.get('dfray.recipe_fingerprint', '?')}`"),
        ("manifest", f"fingerprint `{tags.get('dfray.manifest_fingerprint', '?')}`"),
        ("faces", f"fingerprint `{tags.get('dfray.faces_fingerprint', '?')}`"),
        ("code", f"dfray {description['dfray_version']}, commit "
                 f"{tags.get('mlflow.source.git.commit', 'not of a checkout')}"),
        ("weights' SHA-256", f"`{description['weights_sha256']}`"),
    ]  # fmt: skip
    return "\n".join(f"- {name}: {value}" for name, value in lines)


def _data(corpora: Sequence[Corpus]) -> str:
    if not corpora:
        return "Not told."
    lines = ["| dataset | train | val | test | licence |", "|---|---:|---:|---:|---|"]
    for corpus in corpora:
        counts = " | ".join(
            f"{corpus.videos.get(split, 0):,}" for split in ("train", "val", "test")
        )
        licence = corpus.licence or _UNKNOWN
        if _NON_COMMERCIAL.search(licence):
            licence = f"**{licence}**"
        lines.append(f"| {corpus.dataset} | {counts} | {licence} |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
