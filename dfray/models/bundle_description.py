"""Description of a saved bundle, bundle.json: read and changed without its weights, and without torch.

Promotion, comparison and a listing of versions need the decision rule, the recipe or the settings of faces
alone; importing torch would take them seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import dfray
from dfray import storage
from dfray.config import EvaluationSection
from dfray.errors import ModelFileError
from dfray.faces.version import UNSTATED

SCHEMA_VERSION = 2
DESCRIPTION = "bundle.json"
VideoRule = Literal["mean", "max_of_persons"]
HINT = "Copy the model's folder again from where it was saved; no part of it may be edited."
_KEYS = ("weights_sha256", "class_names", "threshold", "mean", "std", "faces", "recipe")


@dataclass(frozen=True)
class DecisionRule:
    """The rule that turns scores into calls, fixed before any test data are seen.

    Attributes:
        threshold: fake at or above this fake probability.
        temperature: T, which the log-odds of fake against real are divided by (arXiv 1706.04599
            section 4.2, for two classes); 1 leaves scores as the network gives them.
        fitted_on: the faces that either was fitted on; None: neither was.
        decision_criteria: the settings it was made for, `EvaluationSection.decision_criteria`; stored
            as `wish`, the name of the bundles that exist.
    """

    threshold: float = 0.5
    temperature: float = 1.0
    fitted_on: str | None = None
    decision_criteria: dict[str, Any] = field(
        default_factory=lambda: EvaluationSection().decision_criteria
    )

    @property
    def video_rule(self) -> VideoRule:
        """The aggregation from faces to a video's score that the threshold is for."""
        rule: VideoRule = self.decision_criteria["video_rule"]
        return rule

    def stored(self) -> dict[str, Any]:
        """Return the rule as bundle.json and the run's state hold it."""
        return {
            "threshold": self.threshold,
            "temperature": self.temperature,
            "fitted_on": self.fitted_on,
            "wish": self.decision_criteria,
        }


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
    description = read_description(str(uri)) | rule.stored()
    data = (json.dumps(description, indent=2) + "\n").encode()
    storage.write_bytes(data, storage.join(str(uri), DESCRIPTION))


def decision_rule_of(description: dict[str, Any]) -> DecisionRule:
    """Return the rule in a bundle.json; the oldest have only a threshold, and the recipe's criteria."""
    return DecisionRule(
        threshold=description["threshold"],
        temperature=description.get("temperature", 1.0),
        fitted_on=description.get("fitted_on"),
        decision_criteria=description.get("wish") or decision_criteria_of(description["recipe"]),
    )


def decision_criteria_of(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the criteria of the decision in a stored recipe, as `DecisionRule` holds them."""
    return EvaluationSection.model_validate(recipe.get("evaluation", {})).decision_criteria


def read_description(folder: str) -> dict[str, Any]:
    """Return the content of bundle.json in `folder`, checked to be of this version.

    Raises:
        ModelFileError: it is missing, damaged or of another version.
    """
    uri = storage.join(folder, DESCRIPTION)
    if not storage.exists(uri):
        raise missing_file_error(folder, DESCRIPTION)
    try:
        description: dict[str, Any] = json.loads(storage.read_bytes(uri))
        version = description["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{uri} cannot be read: {error!r}.", HINT) from error
    missing = [key for key in _KEYS if key not in description]
    if version == SCHEMA_VERSION and missing:
        raise ModelFileError(f"{uri} lacks {', '.join(missing)}.", HINT)
    if version != SCHEMA_VERSION:
        raise ModelFileError(
            f"{uri} has schema version {version}; "
            f"this dfray {dfray.__version__} reads {SCHEMA_VERSION}.",
            f"Use dfray {description.get('dfray_version', 'of its time')}.",
        )
    return description


def missing_file_error(folder: str, name: str) -> ModelFileError:
    """Return the error for a folder without the file `name`."""
    return ModelFileError(f"{folder} holds no {name}, so it is no model of dfray.", HINT)
