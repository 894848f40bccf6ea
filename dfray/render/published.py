"""Published detectors, and what an import made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table, print_lines

if TYPE_CHECKING:
    from dfray.models.published import PublishedDetector
    from dfray.stages.published import ImportedVersion


def show_detectors(detectors: Iterable[PublishedDetector]) -> None:
    """Print a table of published detectors."""
    table = new_table("detector", "what it is", "arXiv", "licence", "source")
    for detector in detectors:
        table.add_row(
            detector.name, detector.title, detector.paper, detector.licence, detector.source
        )
    console.print(table)


def show_imported(imported: ImportedVersion) -> None:
    """Print the version, its terms and its limits, and the command that scores with it."""
    verb = "Imported" if imported.is_new else "This file was imported before:"
    console.print(f"{verb} {imported.name} version {imported.version}.", highlight=False)
    published = imported.published
    print_lines(
        [
            ("what it is", f"{published['title']}, arXiv {published['paper']}"),
            ("licence", published["licence"]),
            ("trained on", published["trained_on"]),
            *(("differs", text) for text in published["differences"]),
            ("threshold", "0.5, not fitted here"),
            ("score", f"dfray score FILE --model models:/{imported.name}/{imported.version}"),
        ]
    )
