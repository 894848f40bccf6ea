"""Classes of a run: real against fake, or real and several kinds of fake (attribution).

Class 0 is real in every scheme (arXiv 2508.19730 section 3.4); at inference the other classes'
probabilities are summed. The driver determines the classes once and passes them to the workers, so that
all workers and the saved model have the same class indices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL

Scheme = Literal["binary", "category", "dataset"]

_TRAINING_SPLITS = ("train", "val")
_KINDS = ("FS", "RE")
_KIND_OF = {"FS": "FS", "RE": "RE", "TF": "RE"}
"""Category -> class. Talking faces are re-enactments in arXiv 2508.19730 section 4.2, as DF40 has them."""


@dataclass(frozen=True)
class LabelScheme:
    """The classes of a run, the first of them real.

    Attributes:
        scheme: `batches.labels` of the recipe.
        class_names: real and fake; real, FS and RE; or real and fake:DATASET for each dataset.
    """

    scheme: Scheme
    class_names: tuple[str, ...]

    @classmethod
    def named(cls, scheme: Scheme, datasets: Iterable[str]) -> LabelScheme:
        """Return the classes of `scheme` if `datasets` are those with fakes."""
        fakes = {
            "binary": ["fake"],
            "category": list(_KINDS),
            "dataset": [f"fake:{name}" for name in sorted(set(datasets))],
        }
        return cls(scheme, ("real", *fakes[scheme]))

    @classmethod
    def of(cls, scheme: Scheme, videos: pa.Table) -> LabelScheme:
        """Return the classes that the train split of `videos` (VIDEOS or SUMMARIES) has.

        Raises:
            ManifestError: the videos of train and val lack the columns or classes of the scheme.
        """
        is_training = pc.is_in(videos["split"], pa.array(_TRAINING_SPLITS))
        fakes = videos.filter(pc.and_(pc.not_equal(videos["label"], REAL), is_training))
        train = fakes.filter(pc.equal(fakes["split"], "train"))
        if scheme == "category":
            _require_kinds(fakes, train)
        if scheme == "dataset":
            _require_datasets(fakes, train)
        return cls.named(scheme, train["dataset"].to_pylist())

    def index(self, videos: pa.Table) -> np.ndarray:
        """Return the class index of each row: int64 (N,).

        Args:
            videos: has the columns label, category and dataset: VIDEOS, SUMMARIES, FACES.

        Raises:
            ManifestError: a row is of none of the classes.
        """
        place = {name: number for number, name in enumerate(self.class_names)}
        names = _names(self.scheme, videos)
        unknown = sorted(set(names) - place.keys())
        if unknown:
            raise ManifestError(
                f"batches.labels: {self.scheme} has no class for {', '.join(unknown)}; "
                f"its classes are {', '.join(self.class_names)}.",
                "Use batches.labels: binary, or leave these videos out.",
            )
        return np.array([place[name] for name in names], np.int64)


BINARY = LabelScheme.named("binary", ())


def lacking_classes(videos: pa.Table, splits: Iterable[str]) -> dict[str, list[str]]:
    """Return split -> `real` and `fake`, as far as the split has no such video; without complete splits.

    Args:
        videos: has the columns split and label: VIDEOS, SUMMARIES.
    """
    pairs = set(zip(videos["split"].to_pylist(), videos["label"].to_pylist(), strict=True))
    lacking = {
        split: [n for label, n in ((REAL, "real"), (FAKE, "fake")) if (split, label) not in pairs]
        for split in splits
    }
    return {split: names for split, names in lacking.items() if names}


def datasets_of_both(videos: pa.Table, split: str) -> list[str]:
    """Return the datasets that have real and fake videos in a split.

    Args:
        videos: has the columns split, dataset and label: VIDEOS, SUMMARIES.
    """
    columns = (videos[name].to_pylist() for name in ("split", "dataset", "label"))
    pairs = {(dataset, label) for of, dataset, label in zip(*columns, strict=True) if of == split}
    return sorted({name for name, _ in pairs if {(name, REAL), (name, FAKE)} <= pairs})


def _names(scheme: Scheme, videos: pa.Table) -> list[str]:
    """Return the name of each row's class."""
    real = [label == REAL for label in videos["label"].to_pylist()]
    if scheme == "binary":
        return ["real" if is_real else "fake" for is_real in real]
    column = videos["category" if scheme == "category" else "dataset"].to_pylist()
    return [
        "real"
        if is_real
        else _KIND_OF.get(value, value)
        if scheme == "category"
        else f"fake:{value}"
        for is_real, value in zip(real, column, strict=True)
    ]


def _require_kinds(fakes: pa.Table, train: pa.Table) -> None:
    """Check that every fake is FS, RE or TF, and that train has both classes."""
    unlabelled = fakes.filter(pc.invert(pc.is_in(fakes["category"], pa.array([*_KIND_OF]))))
    if unlabelled.num_rows:
        datasets = ", ".join(sorted(set(unlabelled["dataset"].to_pylist())))
        raise ManifestError(
            f"batches.labels: category needs FS, RE or TF for every fake; {unlabelled.num_rows} of "
            f"{fakes.num_rows} in train and val have none, such as "
            f"{unlabelled['video_id'][0].as_py()} (datasets: {datasets}).",
            "Give their methods a category, leave these datasets out, or use batches.labels: "
            "dataset or binary.",
        )
    trained = {_KIND_OF[category] for category in train["category"].to_pylist()}
    lacking = [kind for kind in _KINDS if kind not in trained]
    if lacking:
        raise ManifestError(
            f"batches.labels: category has three classes, and split train has no "
            f"{' and no '.join(lacking)} video.",
            "Add a corpus that has them, or use batches.labels: dataset or binary.",
        )


def _require_datasets(fakes: pa.Table, train: pa.Table) -> None:
    """Check that train has the fakes of at least two datasets, and of each dataset in val."""
    trained = set(train["dataset"].to_pylist())
    if len(trained) < 2:
        raise ManifestError(
            f"batches.labels: dataset needs fakes of two datasets or more in split train; it has "
            f"those of {', '.join(trained) or 'none'}.",
            "Add a corpus, or use batches.labels: category or binary.",
        )
    unseen = sorted(set(fakes["dataset"].to_pylist()) - trained)
    if unseen:
        raise ManifestError(
            f"batches.labels: dataset: split val has fakes of {', '.join(unseen)}, of which train "
            "has none.",
            "Give that dataset a train split, leave it out, or use batches.labels: category or "
            "binary.",
        )
