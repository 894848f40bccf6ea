"""Labels gathered from several lists; two lists that contradict each other are refused."""

from __future__ import annotations

from collections.abc import Iterator

from dfray.errors import ManifestError

_WORDS = {0: "real", 1: "fake"}


class Labels:
    """What each list says about each file."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, str]] = {}

    def add(self, file: str, label: int, where: str) -> None:
        """Note that `where` (a list, or a folder whose name tells) gives `file` this label.

        Raises:
            ManifestError: another list gives it the other label; both are named.
        """
        known, first = self._said.setdefault(file, (label, where))
        if known != label:
            raise ManifestError(
                f"{file} is {_WORDS.get(known, known)} in {first} "
                f"and {_WORDS.get(label, label)} in {where}.",
                "Correct the list that is wrong, or remove the video from both.",
            )

    def __contains__(self, file: str) -> bool:
        return file in self._said

    def __len__(self) -> int:
        return len(self._said)

    def items(self) -> Iterator[tuple[str, int]]:
        """(file, label), in the order in which the files were first named."""
        return ((file, label) for file, (label, _) in self._said.items())

    def __getitem__(self, file: str) -> int:
        return self._said[file][0]
