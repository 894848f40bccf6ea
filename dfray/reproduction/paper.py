"""A paper whose table is reproduced: the recipe of each row, the protocol, and how dfray deviates.

Papers are data (jobs/papers). The published figures are the protocol's, where they stand once.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from dfray.documents import read_yaml, validated
from dfray.errors import UserError, did_you_mean
from dfray.evaluation.protocol import Protocol, PublishedRow, load_protocol
from dfray.installed_files import find_file

_HINT = "See jobs/papers/table3.yaml."


class PaperFile(BaseModel):
    """Content of a paper's YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str
    protocol: str = Field(description="name of an installed protocol, or a YAML file")
    rows: dict[str, str | None] = Field(
        min_length=1, description="recipe -> published row of the protocol; null: none"
    )
    deviations: list[str] = Field([], description="sentences on what dfray does otherwise")


@dataclass(frozen=True)
class Paper:
    """A paper with its protocol.

    Attributes:
        source: the file as it was named, for commands.
    """

    file: PaperFile
    protocol: Protocol
    source: str

    @property
    def name(self) -> str:
        """Name of the paper, and of the files of its page."""
        return self.file.name

    def published(self, recipe: str) -> PublishedRow | None:
        """Return the published figures of the row that a recipe stands for."""
        rows = self.protocol.published.rows if self.protocol.published else []
        return next((row for row in rows if row.name == self.file.rows[recipe]), None)


def load_paper(name_or_path: str) -> Paper:
    """Return a paper from a YAML file, or one that comes with dfray by its name.

    Raises:
        UserError: there is none, it is not valid, or it names a row that its protocol does not have.
    """
    path = find_file("paper", name_or_path)
    file = validated(PaperFile, read_yaml(path).value, f"{path} is no paper", hint=_HINT)
    paper = Paper(file, load_protocol(file.protocol), name_or_path)
    names = [row.name for row in paper.protocol.published.rows] if paper.protocol.published else []
    for recipe, row in file.rows.items():
        if row is not None and row not in names:
            raise UserError(
                f"{path}: rows.{recipe}: protocol {file.protocol} has no published row {row!r}.",
                did_you_mean(row, names) or f"It has: {', '.join(names) or 'none'}.",
            )
    return paper
