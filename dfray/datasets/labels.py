"""Labels collected from several lists; two lists that contradict each other are refused."""

from __future__ import annotations

from collections.abc import Iterator

from dfray.errors import ManifestError

_CLASS_NAMES = {0: "real", 1: "fake"}


class Labels:
    """The label of each file, with the list that gives it."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[int, str]] = {}

    def add(self, file: str, label: int, source: str) -> None:
        """Add the label that `source`, a list or the name of a folder, gives `file`.

        Raises:
            ManifestError: another source gives it the other label; the message names both.
        """
        first_label, first_source = self._sources.setdefault(file, (label, source))
        if first_label != label:
            raise ManifestError(
                f"{file} is {_CLASS_NAMES.get(first_label, first_label)} in {first_source} "
                f"and {_CLASS_NAMES.get(label, label)} in {source}.",
                "Correct the list that is wrong, or remove the video from both.",
            )

    def __contains__(self, file: str) -> bool:
        return file in self._sources

    def __len__(self) -> int:
        return len(self._sources)

    def items(self) -> Iterator[tuple[str, int]]:
        """Return (file, label), in the order in which the files were first added."""
        return ((file, label) for file, (label, _) in self._sources.items())

    def __getitem__(self, file: str) -> int:
        return self._sources[file][0]
