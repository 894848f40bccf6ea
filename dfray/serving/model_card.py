"""Model card of a version: its use, data, metrics and terms.

Markdown, as MODEL_CARD.md in the package and as the version's description on MLflow's page. What must not be
overlooked comes first: MLflow cuts a description off at 5,000 characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dfray.config import UNFITTED_THRESHOLD, ModelSection
from dfray.evaluation.names import mean_name, views_name
from dfray.faces.version import UNSTATED
from dfray.models.bundle_description import decision_rule_of
from dfray.registry.measurements import HeadlineMetrics
from dfray.serving import published_card
from dfray.text import markdown, markdown_code

if TYPE_CHECKING:
    import pyarrow as pa

    from dfray.evaluation.protocol import ColumnMetrics, Protocol

FILE = "MODEL_CARD.md"
DESCRIPTION_LIMIT = 5000  # characters, of MLflow's database
_CUT = f"\n\n… cut off here; the whole card is {FILE} in the package."
_NON_COMMERCIAL = re.compile(r"non-?commercial|\bNC\b", re.IGNORECASE)
_UNKNOWN = "not stated"

_USE_HEADING = "## Intended use and limits"
_USE = """\
To rank and screen videos and pictures of faces for a person who looks at them: a score near 1 says
"look here first". It sees single frames: no sound, no voice, no motion, nothing without a visible face.

**Not** as proof, and not as the only ground of a decision about a person. A detector errs more on forgeries,
cameras, compression and people that are unlike its training data; the figures below hold for the sets they
name and for no others. Its threshold was chosen for one balance of errors; choose another for another use."""


@dataclass(frozen=True)
class Corpus:
    """One dataset of the manifest: its licence (None: not stated), and its videos by split."""

    dataset: str
    licence: str | None
    videos: Mapping[str, int]


@dataclass(frozen=True)
class CardContext:
    """Contents of a card that neither the bundle nor the MLflow run has.

    Attributes:
        corpora: that it was trained, validated and tested on.
        evaluation: Markdown: the tables of the evaluation, those of protocols after them.
    """

    corpora: Sequence[Corpus] = ()
    evaluation: str = ""

    @classmethod
    def of(cls, videos: pa.Table, evaluation: str) -> Self:
        """Return the context of a model that was made from VIDEOS of a manifest."""
        columns = (videos.column(name).to_pylist() for name in ("dataset", "licence", "split"))
        counts: dict[tuple[str, str], Counter[str]] = {}
        for dataset, licence, split in zip(*columns, strict=True):
            counts.setdefault((dataset, licence or ""), Counter())[split] += 1
        corpora = [
            Corpus(dataset, licence or None, dict(of_corpus))
            for (dataset, licence), of_corpus in sorted(counts.items())
        ]
        return cls(corpora, evaluation)


def write_card(
    model_name: str,
    description: Mapping[str, Any],
    run_tags: Mapping[str, str],
    metrics: HeadlineMetrics | None,
    context: CardContext,
) -> str:
    """Return the card as Markdown.

    Args:
        description: of the bundle.
        run_tags: of the MLflow run that made it: fingerprints and the code's commit.
        metrics: the headline; None: of an imported detector, which was not measured yet.
    """
    recipe, published = description["recipe"], description.get("published")
    licence = published["licence"] if published else _weights_licence(recipe)
    paragraphs = [
        f"# {markdown(model_name)}: {markdown(recipe['name'])}",
        markdown(recipe.get("description", "")),
        *_warning(licence, context.corpora),
        _USE_HEADING,
        _USE,
        "## Metrics",
        _headline(metrics) if metrics else published_card.UNMEASURED,
        "## Composition",
        _composition(description, run_tags, licence),
        "## Data",
        published_card.data(published) if published else _data(context.corpora),
        *(["## Evaluation", context.evaluation] if context.evaluation else []),
    ]
    return "\n\n".join(text.strip() for text in paragraphs if text.strip()) + "\n"


def as_description(card: str) -> str:
    """Return the card, cut to the length that MLflow stores."""
    if len(card) <= DESCRIPTION_LIMIT:
        return card
    return card[: DESCRIPTION_LIMIT - len(_CUT)] + _CUT


def limits_in(card: str) -> list[str]:
    """Return the warnings and the paragraphs on use and limits of a card, as plain text."""
    paragraphs = [text.strip() for text in card.split("\n\n")]
    warnings = [text.lstrip("> ") for text in paragraphs if text.startswith("> ")]
    heads = [number for number, text in enumerate(paragraphs) if text.startswith("## ")]
    section: list[str] = []
    for start, end in zip(heads, [*heads[1:], None], strict=True):
        if paragraphs[start] == _USE_HEADING:
            section = paragraphs[start + 1 : end]
    return [_plain(text) for text in (*warnings, *section)]


def _plain(text: str) -> str:
    """Return Markdown without its marks, with its lines joined."""
    return re.sub(r"\\(.)", r"\1", " ".join(text.replace("**", "").split()))


def protocol_table(protocol: Protocol, metrics: Sequence[ColumnMetrics]) -> str:
    """Return a Markdown table of the protocol's columns that were measured; the others are counted."""
    accuracies_of = f"balanced accuracy at {UNFITTED_THRESHOLD:g} | at its own threshold"
    head = f"| {markdown(protocol.title)} | AUC | {accuracies_of} | real | fake | note |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---|"]
    for (scenario, column), result in zip(protocol.headings, metrics, strict=True):
        if result.auc is not None:
            accuracies = (result.balanced_accuracy, result.own_balanced_accuracy)
            values = map(_number, (result.auc, *accuracies))
            cells = " | ".join(map(str, (*values, result.n_real, result.n_fake)))
            name = markdown(f"{scenario} / {column}")
            lines.append(f"| {name} | {cells} | {markdown(result.note or '')} |")
    n_absent = sum(result.auc is None for result in metrics)
    return "\n".join([*lines, "", f"{n_absent} of {len(metrics)} columns were not measured."])


def _weights_licence(recipe: Mapping[str, Any]) -> str | None:
    from dfray.models.weights import weights_licence

    return weights_licence(ModelSection.model_validate(recipe["model"]))


def _warning(weights: str | None, corpora: Sequence[Corpus]) -> list[str]:
    """Return warnings of non-commercial and of unknown terms; none if every licence is stated and free."""
    terms = [("the pretrained weights", weights)]
    terms += [(corpus.dataset, corpus.licence) for corpus in corpora]
    forbidding = [
        markdown(f"{material}: {licence}")
        for material, licence in terms
        if _NON_COMMERCIAL.search(licence or "")
    ]
    unknown = [markdown(material) for material, licence in terms if licence is None]
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


def _headline(metrics: HeadlineMetrics) -> str:
    pooled = ", all videos pooled" if metrics.n_columns > 1 else ""
    lines = [
        *_means(metrics),
        (f"AUC, video level{pooled}", _number(metrics.auc)),
        (
            f"balanced accuracy at {metrics.threshold:.4g}{pooled}",
            _number(metrics.balanced_accuracy),
        ),
        ("expected calibration error", _number(metrics.calibration_error)),
        ("videos with a score", f"{metrics.n_videos} ({metrics.coverage:.1%})"),
        ("evaluation set", markdown_code(metrics.evaluation_set)),
    ]
    if metrics.worst_drop is not None:
        drop = f"{metrics.worst_drop:.3f} ({metrics.worst_kind})"
        lines.append(("worst drop of AUC under post-processing", drop))
    return "\n".join(f"- {name}: {value}" for name, value in lines)


def _means(metrics: HeadlineMetrics) -> Iterator[tuple[str, str]]:
    """Yield the figures that gates go by, if there is more than one column."""
    if metrics.n_columns > 1:
        of = mean_name(metrics.n_columns)
        yield f"AUC, video level, {of}", _number(metrics.mean_auc)
        yield (
            f"balanced accuracy at {metrics.threshold:.4g}, {of}",
            _number(metrics.mean_balanced_accuracy),
        )


def _composition(
    description: Mapping[str, Any], tags: Mapping[str, str], licence: str | None
) -> str:
    from dfray.models.network import described

    network = described(ModelSection.model_validate(description["recipe"]["model"]))
    classes = ", ".join(description["class_names"])
    published = description.get("published")
    lines = [
        ("network", markdown("; ".join([*network, f"classes {classes}"]))),
        *(published_card.origin(published) if published else _origin(description, tags, licence)),
        ("views of a face", views_name(decision_rule_of(dict(description)).views)),
        ("code", f"dfray {description['dfray_version']}, commit "
                 f"{tags.get('mlflow.source.git.commit', 'not of a checkout')}"),
        ("weights' SHA-256", f"`{description['weights_sha256']}`"),
    ]  # fmt: skip
    return "\n".join(f"- {name}: {value}" for name, value in lines)


def _origin(
    description: Mapping[str, Any], tags: Mapping[str, str], licence: str | None
) -> list[tuple[str, str]]:
    """Return the rows of the composition on the training of a model."""
    recipe, weights = description["recipe"], description["recipe"]["model"]["weights"]
    licence = licence or _UNKNOWN
    return [
        ("pretrained weights", markdown(f"{weights} (licence: {licence})" if weights else licence)),
        ("recipe", f"{markdown(recipe['name'])}, fingerprint `{tags.get('dfray.recipe_fingerprint', '?')}`"),
        ("manifest", f"fingerprint `{tags.get('dfray.manifest_fingerprint', '?')}`"),
        ("faces", f"fingerprint `{tags.get('dfray.faces_fingerprint', '?')}`, taken by version "
                  f"{description.get('faces_version', UNSTATED)} of the extraction"),
    ]  # fmt: skip


def _data(corpora: Sequence[Corpus]) -> str:
    if not corpora:
        return "Not stated."
    lines = ["| dataset | train | val | test | licence |", "|---|---:|---:|---:|---|"]
    for corpus in corpora:
        counts = " | ".join(
            f"{corpus.videos.get(split, 0):,}" for split in ("train", "val", "test")
        )
        licence = markdown(corpus.licence or _UNKNOWN)
        if _NON_COMMERCIAL.search(licence):
            licence = f"**{licence}**"
        lines.append(f"| {markdown(corpus.dataset)} | {counts} | {licence} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
