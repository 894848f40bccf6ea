"""One published detector: its network, its file, and what it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dfray.config import FacesSection, ModelSection
from dfray.errors import UserError, did_you_mean
from dfray.models.published.layout import Source
from dfray.models.sources import complete

CLASS_NAMES = ("real", "fake")
FACEFORENSICS = ("ff++",)
"""Names, as in manifests, of the corpora of `ON_FACEFORENSICS`."""
ON_FACEFORENSICS = "FaceForensics++ c23: Deepfakes, Face2Face, FaceSwap, NeuralTextures"
HUB = "hf://"


def _unchanged(section: ModelSection, uri: str) -> ModelSection:
    del uri
    return section


@dataclass(frozen=True)
class PublishedDetector:
    """A detector with its trained head, as its authors publish it.

    Attributes:
        name: for `dfray import`.
        title: what it is, in a few words.
        paper: arXiv id.
        source: hf:// URI of the file, or the page that it is downloaded from.
        licence: of the file, with what else binds its use.
        trained_on: corpora of its training, which are no test of how it generalises.
        section: the network, with mean and std of its input; it names no weights.
        faces: the nearest settings to its own preprocessing.
        differences: of `faces` from its own preprocessing, a sentence each.
        sources: names of the network's parameters -> the tensors of the file that each is made of. Logits
            come out as `CLASS_NAMES`.
        ignored: pattern of the file's keys that scoring does not use.
        settled: returns the section as files beside the one at a URI settle it.
        datasets: names of `trained_on` in manifests.

    Raises:
        ModelFileError: by `settled`: a file beside it holds something else, or contradicts the detector.
    """

    name: str
    title: str
    paper: str
    source: str
    licence: str
    trained_on: str
    section: ModelSection
    faces: FacesSection
    differences: tuple[str, ...]
    sources: Callable[[Iterable[str]], Mapping[str, Source]]
    ignored: str = r"(?!)"
    settled: Callable[[ModelSection, str], ModelSection] = _unchanged
    datasets: tuple[str, ...] = FACEFORENSICS

    def file(self, weights: str | None) -> str:
        """Return the URI of the file to import: `weights`, or the published one if the hub has it.

        Raises:
            UserError: it is not on the hub, and no copy is named.
        """
        if weights is None and not self.source.startswith(HUB):
            raise UserError(
                f"The file of {self.name} is not on the hub: {self.source}.",
                "Download it there, and give its path or s3:// URI as --weights.",
            )
        on_hub = self.source.startswith(HUB)
        path = self.source.removeprefix(HUB).split("/", 2)[2] if on_hub else "model.safetensors"
        return complete(weights or self.source, path)

    def record(self, uri: str, sha256: str) -> dict[str, Any]:
        """Return what a bundle states of its origin, as `Published` reads it.

        Args:
            uri: that the file was read from.
            sha256: of the file.
        """
        return {
            "detector": self.name,
            "title": self.title,
            "paper": self.paper,
            "source": self.source,
            "read_from": uri,
            "sha256": sha256,
            "licence": self.licence,
            "trained_on": self.trained_on,
            "datasets": list(self.datasets),
            "differences": list(self.differences),
        }


def find(name: str, detectors: Mapping[str, PublishedDetector]) -> PublishedDetector:
    """Return the detector of a name.

    Raises:
        UserError: there is none; the message has the nearest.
    """
    if name not in detectors:
        raise UserError(
            f"There is no published detector {name!r}.",
            did_you_mean(name, detectors, limit=3, cutoff=0.4) or "`dfray import --list` has them.",
        )
    return detectors[name]
