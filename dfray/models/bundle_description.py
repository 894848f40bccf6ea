"""Description of a saved bundle, bundle.json: read and changed without its weights, and without torch.

Promotion, comparison and a listing of versions need the decision rule, the recipe or the settings of faces
alone; importing torch would take them seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

import dfray
from dfray import storage
from dfray.config import (
    BALANCED_ACCURACY,
    UNFITTED_THRESHOLD,
    EvaluationSection,
    FacesSection,
    ModelSection,
    View,
)
from dfray.config.data import BEFORE_KEYS
from dfray.config.section import Positive, Threshold
from dfray.documents import read_json, validated
from dfray.errors import ModelFileError
from dfray.faces.version import UNSTATED

T = TypeVar("T")

SCHEMA_VERSION = 2
DESCRIPTION = "bundle.json"
VideoRule = Literal["mean", "max_of_persons"]
HINT = "Copy the model's folder again from where it was saved; no part of it may be edited."


class _Recipe(BaseModel):
    """Part of the recipe in a bundle that is read, which may be of an earlier date."""

    model_config = ConfigDict(strict=True)

    name: str
    description: str = ""
    model: dict[str, Any]
    evaluation: dict[str, Any] = {}


class Published(BaseModel):
    """Origin of an imported detector: whose it is, its file, its terms, and what it was trained on.

    Attributes:
        source, read_from: where its authors publish the file, and where this one was read.
        sha256: of the file.
        datasets: names, as in manifests, of the corpora among `trained_on`.
        differences: of its faces here from its own preprocessing, a sentence each.
    """

    model_config = ConfigDict(strict=True)

    detector: str
    title: str
    paper: str
    source: str
    read_from: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    licence: str
    trained_on: str
    datasets: list[str] = []
    differences: list[str]


class _Content(BaseModel):
    """Keys of bundle.json that are read; sections of the recipe are checked as those of a recipe are."""

    model_config = ConfigDict(strict=True)

    dfray_version: str
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    class_names: Annotated[list[str], Field(min_length=2)]
    threshold: Threshold
    temperature: Positive = 1.0
    fitted_on: str | None = None
    unfitted: str | None = None
    wish: dict[str, Any] | None = None
    mean: list[float]
    std: list[float]
    faces: dict[str, Any]
    faces_version: Annotated[int, Field(ge=1)] = UNSTATED
    recipe: _Recipe
    published: Published | None = None

    @field_validator("class_names")
    @classmethod
    def _real_is_the_first(cls, names: list[str]) -> list[str]:
        if names[0] != "real" or len(set(names)) < len(names):
            raise ValueError(f"the first class is real, and all differ (got {names})")
        return names


@dataclass(frozen=True)
class DecisionRule:
    """The rule that turns scores into calls, fixed before any test data are seen.

    Attributes:
        threshold: fake at or above this fake probability.
        temperature: T, which the log-odds of fake against real are divided by (arXiv 1706.04599
            section 4.2, for two classes); 1 leaves scores as the network gives them.
        fitted_on: the faces that either was fitted on, or could not be; None: the recipe fixes both.
        decision_criteria: the settings it was made for, `EvaluationSection.decision_criteria`; stored
            as `wish`, the name of the bundles that exist.
        unfitted: why the threshold that the criteria ask for could not be fitted there; None: it could.
    """

    threshold: float = 0.5
    temperature: float = 1.0
    fitted_on: str | None = None
    decision_criteria: dict[str, Any] = field(
        default_factory=lambda: EvaluationSection().decision_criteria
    )
    unfitted: str | None = None

    @property
    def threshold_origin(self) -> str:
        """Where the threshold comes from, for people."""
        wanted = self.decision_criteria["threshold"]
        if isinstance(wanted, float):
            return "set by the recipe"
        if self.unfitted or not self.fitted_on:
            return f"not fitted: {self.unfitted or 'not evaluated yet'}"
        if wanted == BALANCED_ACCURACY:
            return "fitted on validation: highest balanced accuracy"
        return f"fitted on validation: false positive rate {wanted['fpr']:g}"

    @property
    def views(self) -> tuple[View, ...]:
        """The views of a face that its score is the mean of; the threshold and temperature are for them."""
        return tuple(self.decision_criteria.get("views", ("whole",)))

    @property
    def video_rule(self) -> VideoRule:
        """The aggregation from faces to a video's score that the threshold is for."""
        rule: VideoRule = self.decision_criteria["video_rule"]
        return rule

    def stored(self) -> dict[str, Any]:
        """Return the rule as bundle.json and the run's state hold it."""
        rule = {
            "threshold": self.threshold,
            "temperature": self.temperature,
            "fitted_on": self.fitted_on,
            "wish": self.decision_criteria,
        }
        return rule | ({"unfitted": self.unfitted} if self.unfitted else {})


def read_decision_rule(uri: str | Path) -> DecisionRule:
    """Return the decision rule of the bundle in the folder `uri`, read without its weights.

    Raises:
        ModelFileError: the description is missing, damaged or of another version.
    """
    return decision_rule_of(read_description(str(uri)))


def read_faces(uri: str | Path) -> dict[str, Any]:
    """Return the faces section that the bundle in the folder `uri` was trained with, as JSON.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    faces: dict[str, Any] = read_description(str(uri))["faces"]
    return faces


def read_faces_version(uri: str | Path) -> int:
    """Return the version of how the faces were taken that the bundle in the folder `uri` learned from.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    version: int = read_description(str(uri)).get("faces_version", UNSTATED)
    return version


def read_published(uri: str | Path) -> Published | None:
    """Return the origin of the bundle in the folder `uri`; None: dfray trained it.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    published = read_description(str(uri)).get("published")
    return None if published is None else Published.model_validate(published)


def read_recipe(uri: str | Path) -> dict[str, Any]:
    """Return the recipe that the bundle in the folder `uri` was trained by, as JSON.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    recipe: dict[str, Any] = read_description(str(uri))["recipe"]
    return recipe


def write_decision_rule(uri: str | Path, rule: DecisionRule) -> None:
    """Make `rule` the one of the bundle in the folder `uri`; its weights stay unchanged.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    description = {k: v for k, v in read_description(str(uri)).items() if k != "unfitted"}
    description |= rule.stored()
    data = (json.dumps(description, indent=2) + "\n").encode()
    storage.write_bytes(data, storage.join(str(uri), DESCRIPTION))


def decision_rule_of(description: dict[str, Any]) -> DecisionRule:
    """Return the rule in a bundle.json, of `read_description`; the oldest have only a threshold."""
    return DecisionRule(
        threshold=float(description["threshold"]),
        temperature=float(description.get("temperature", 1.0)),
        fitted_on=description.get("fitted_on"),
        decision_criteria=description["wish"],
        unfitted=description.get("unfitted"),
    )


def decision_criteria_of(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the criteria of the decision in a stored recipe, as `DecisionRule` holds them."""
    return EvaluationSection.model_validate(recipe.get("evaluation", {})).decision_criteria


def read_description(folder: str) -> dict[str, Any]:
    """Return the content of bundle.json in `folder`, checked to be of this version.

    Keys of the network that the recipe leaves out, and the decision's criteria, are filled in.

    Raises:
        ModelFileError: it is missing, damaged, edited to be no description or of another version.
    """
    uri = storage.join(folder, DESCRIPTION)
    if not storage.exists(uri):
        raise missing_file_error(folder, DESCRIPTION)
    description = read_json(uri, ModelFileError, HINT)
    description = validated(dict[str, Any], description, uri, ModelFileError, HINT)
    version = description.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ModelFileError(
            f"{uri} has schema version {version}; "
            f"this dfray {dfray.__version__} reads {SCHEMA_VERSION}.",
            f"Use dfray {description.get('dfray_version', 'of its time')}.",
        )
    return _completed(description, uri)


def _completed(description: dict[str, Any], uri: str) -> dict[str, Any]:
    """Return the description with what it leaves out; raise a ModelFileError if it is none."""

    def section(kind: type[T], values: Mapping[str, Any], key: str) -> T:
        return validated(kind, values, f"{uri}: {key}", ModelFileError, HINT)

    content = validated(_Content, description, uri, ModelFileError, HINT)
    network = content.recipe.model
    section(ModelSection, network, "recipe.model")
    section(ModelSection, network | {"mean": content.mean, "std": content.std}, "recipe.model")
    section(FacesSection, BEFORE_KEYS | content.faces, "faces")
    key, criteria = (
        ("wish", content.wish) if content.wish else ("recipe", content.recipe.evaluation)
    )
    of_before = {"threshold": UNFITTED_THRESHOLD}  # where the oldest leave it out
    criteria = section(EvaluationSection, of_before | criteria, key).decision_criteria
    recipe = description["recipe"] | {"model": ModelSection().model_dump(mode="json") | network}
    return description | {"recipe": recipe, "wish": criteria}


def missing_file_error(folder: str, name: str) -> ModelFileError:
    """Return the error for a folder without the file `name`."""
    return ModelFileError(f"{folder} holds no {name}, so it is no model of dfray.", HINT)
