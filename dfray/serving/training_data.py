"""What a model was trained on, as its bundle, its recipe or its version in the registry says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfray.audit.names import DATASETS
from dfray.config import CorpusSection
from dfray.datasets.corpus import TRAINED, may_hold
from dfray.datasets.readers import READERS
from dfray.errors import RegistryError
from dfray.models.bundle_description import read_published, read_recipe
from dfray.notes import warn
from dfray.registry.champion import parsed_uri
from dfray.registry.versions import Versions
from dfray.serving.package import PUBLISHED


@dataclass(frozen=True)
class TrainingData:
    """What a model was trained on.

    Attributes:
        words: None: it is not known.
        datasets: names as in manifests, as far as they are known.
    """

    words: str | None = None
    datasets: Sequence[str] = ()

    @classmethod
    def of_datasets(cls, names: Sequence[str]) -> TrainingData:
        """Return the training videos of these datasets; none: it is not known."""
        return cls(f"training videos of {', '.join(names)}", names) if names else cls()


def of_bundle(uri: str) -> TrainingData:
    """Return what the model of a bundle was trained on, by its origin or else by its recipe.

    Raises:
        ModelFileError: the bundle's description is missing or damaged.
    """
    if published := read_published(uri):
        return TrainingData(published.trained_on, published.datasets)
    # not validated: the recipe may be of another dfray
    corpora = [CorpusSection.model_construct(**c) for c in read_recipe(uri).get("corpora", ())]
    trained = [c for c in corpora if c.reader not in READERS or may_hold(c, TRAINED)]
    return TrainingData.of_datasets(
        [c.dataset or DATASETS.get(c.reader, c.reader) for c in trained]
    )


def of_version(model_uri: str, tracking_uri: str) -> TrainingData:
    """Return what an imported version was trained on, by its tags; of any other it is not known.

    Args:
        model_uri: models:/NAME/VERSION, or what is none.
    """
    named = parsed_uri(model_uri)
    if named is None:
        return TrainingData()
    name, number = named
    try:
        stored = Versions(name, tracking_uri).all()
        tags: dict[str, str] = next((one.tags for one in stored if str(one.version) == number), {})
    except RegistryError as away:
        warn(f"What {model_uri} was trained on is not known: {away}")
        return TrainingData()
    datasets = tags.get(f"{PUBLISHED}datasets", "")
    return TrainingData(tags.get(f"{PUBLISHED}trained_on"), datasets.split(",") if datasets else [])
