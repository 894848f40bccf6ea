"""Parts of the model card of an imported detector: its origin, its terms and what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfray.text import markdown, markdown_code

UNMEASURED = """\
Imported as its authors publish it: nothing was measured here, and its threshold is not fitted.
`dfray promote` and `dfray evaluate RECIPE --protocol paper --model URI` measure it."""


def origin(published: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the composition on a `Published` detector."""
    paper = published["paper"]
    return [
        ("published detector", f"{markdown(published['title'])} (`{published['detector']}`), "
                               f"[arXiv {paper}](https://arxiv.org/abs/{paper})"),
        ("licence", markdown(published["licence"])),
        ("published at", markdown_code(published["source"])),
        ("imported from", markdown_code(published["read_from"])),
        ("SHA-256 of the file", f"`{published['sha256']}`"),
    ]  # fmt: skip


def data(published: Mapping[str, Any]) -> str:
    """Return what a `Published` detector was trained on, and how its faces are taken otherwise here."""
    lines = [
        f"Trained by its authors on {markdown(published['trained_on'])}. Figures on these corpora are no "
        "test of how it generalises.",
        "Its faces are taken by dfray, which differs from its own preprocessing:",
        "\n".join(f"- {markdown(text)}" for text in published["differences"]),
    ]
    return "\n\n".join(lines if published["differences"] else lines[:1])
