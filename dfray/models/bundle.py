"""Detector on disk: weights as safetensors, everything else as JSON, nothing pickled.

    <folder>/model.safetensors   the detector's parameters and buffers
    <folder>/bundle.json         schema version, dfray version, SHA-256 of the weights, the resolved
                                 recipe, class names, decision rule, mean and std of the input,
                                 settings of face detection and crops, and the version of both

A bundle is loaded without the source of the backbone's initial weights.

The JSON is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import dfray
from dfray import storage
from dfray.config import EvaluationSection, ModelSection
from dfray.errors import ModelFileError
from dfray.faces.version import FACES_VERSION, UNSTATED
from dfray.models.backbone import Detector, build_detector
from dfray.models.preprocess import Preprocess

SCHEMA_VERSION = 2
WEIGHTS, DESCRIPTION = "model.safetensors", "bundle.json"
VideoRule = Literal["mean", "max_of_persons"]
_KEYS = ("weights_sha256", "class_names", "threshold", "mean", "std", "faces", "recipe")
_HINT = "Copy the model's folder again from where it was saved; no part of it may be edited."


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


@dataclass
class Bundle:
    """A detector with its input, classes, decision rule and the settings of its face crops.

    Attributes:
        detector: the network, (B, 3, S, S) -> logits (B, C), embeddings (B, D).
        preprocess: uint8 (B, H, H, 3) -> the detector's input.
        recipe: the resolved recipe, as `Recipe.model_dump(mode="json")` returns it.
        class_names: one for each logit; the first is "real".
        threshold: fake at or above this fake probability.
        faces: the recipe's faces section: sampling, face detector, margin, size.
        temperature, fitted_on: as in `DecisionRule`.
        faces_version: version of how the faces were taken that it learned from.
        decision_criteria: likewise; None: those of the recipe.
    """

    detector: Detector
    preprocess: Preprocess
    recipe: dict[str, Any]
    class_names: Sequence[str]
    threshold: float
    faces: dict[str, Any]
    temperature: float = 1.0
    fitted_on: str | None = None
    decision_criteria: dict[str, Any] | None = None
    faces_version: int = FACES_VERSION

    @property
    def decision_rule(self) -> DecisionRule:
        criteria = self.decision_criteria or _criteria_of(self.recipe)
        return DecisionRule(self.threshold, self.temperature, self.fitted_on, criteria)

    def save(self, folder: str | Path) -> None:
        """Write the bundle into the local `folder`, created if missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        weights = {name: value.contiguous() for name, value in self.detector.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        description = {
            "schema_version": SCHEMA_VERSION,
            "dfray_version": dfray.__version__,
            "weights_sha256": _sha256(folder / WEIGHTS),
            "class_names": list(self.class_names),
            "mean": self.preprocess.mean.flatten().tolist(),
            "std": self.preprocess.std.flatten().tolist(),
            "faces": self.faces,
            "faces_version": self.faces_version,
            "recipe": self.recipe,
        } | self.decision_rule.stored()
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> Bundle:
        """Return the bundle in the local `folder`, in evaluation mode on `device`.

        Raises:
            ModelFileError: a file is missing, truncated, not the one saved, or of another version.
        """
        folder = Path(folder)
        description = _describe(str(folder))
        if not (folder / WEIGHTS).is_file():
            raise _no_model(str(folder), WEIGHTS)
        sha256 = _sha256(folder / WEIGHTS)
        if sha256 != description["weights_sha256"]:
            raise ModelFileError(
                f"{folder / WEIGHTS} is not the file that was saved: its SHA-256 is {sha256}, "
                f"not {description['weights_sha256']}.",
                _HINT,
            )
        resolved = {name: description[name] for name in ("mean", "std")}
        section = ModelSection.model_validate(description["recipe"]["model"] | resolved)
        detector = build_detector(section.without_weights(), len(description["class_names"]))
        try:
            detector.load_state_dict(load_file(folder / WEIGHTS), strict=True)
        except (SafetensorError, RuntimeError) as error:
            raise ModelFileError(
                f"{folder / WEIGHTS} does not fit {section.backbone}: {error}.", _HINT
            ) from error
        return cls(
            detector=detector.to(device).eval(),
            preprocess=Preprocess(section).to(device),
            recipe=description["recipe"],
            class_names=tuple(description["class_names"]),
            faces=description["faces"],
            faces_version=description.get("faces_version", UNSTATED),
            **asdict(_decision_rule(description)),
        )

    def predict(
        self, faces: np.ndarray | Tensor, batch_size: int = 64
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score face crops, uint8 (N, H, H, 3), in float32 on the detector's device.

        Returns:
            fake probability (N,) float32: the softmax of all classes but "real", summed, calibrated;
            embeddings (N, D) float32.
        """
        crops = torch.as_tensor(faces)
        self.detector.eval()
        device = self.preprocess.mean.device
        probabilities, embeddings = [], []
        with torch.inference_mode():
            for batch in torch.split(crops, batch_size) if len(crops) else ():
                logits, embedding = self.detector(self.preprocess(batch.to(device)))
                probabilities.append(fake_probability(logits, self.temperature).cpu())
                embeddings.append(embedding.float().cpu())
        if not embeddings:
            return np.empty(0, np.float32), np.empty((0, self.detector.embedding_dim), np.float32)
        return torch.cat(probabilities).numpy(), torch.cat(embeddings).numpy()


def fake_probability(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the sum of the fake classes' softmax: (B, C) logits, class 0 real -> (B,) float32.

    A temperature divides the log-odds of all fake classes together against real, which does not change
    the order of faces.
    """
    return (fake_log_odds(logits) / temperature).sigmoid()


def fake_log_odds(logits: Tensor) -> Tensor:
    """Return the log of P(any fake class) over P(real): (B, C) logits, class 0 real -> (B,) float32."""
    return logits.float()[:, 1:].logsumexp(dim=1) - logits.float()[:, 0]


def read_decision_rule(uri: str | Path) -> DecisionRule:
    """Return the decision rule of the bundle in the folder `uri`, read without its weights.

    Raises:
        ModelFileError: the description is missing, damaged or of another version.
    """
    return _decision_rule(_describe(str(uri)))


def read_faces(uri: str | Path) -> dict[str, Any]:
    """Return the faces section that the bundle in the folder `uri` was trained with, as JSON.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    faces: dict[str, Any] = _describe(str(uri))["faces"]
    return faces


def read_faces_version(uri: str | Path) -> int:
    """Return the version of how the faces were taken that the bundle in the folder `uri` learned from.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    version: int = _describe(str(uri)).get("faces_version", UNSTATED)
    return version


def read_recipe(uri: str | Path) -> dict[str, Any]:
    """Return the recipe that the bundle in the folder `uri` was trained by, as JSON.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    recipe: dict[str, Any] = _describe(str(uri))["recipe"]
    return recipe


def write_decision_rule(uri: str | Path, rule: DecisionRule) -> None:
    """Make `rule` the one of the bundle in the folder `uri`; its weights stay unchanged.

    Raises:
        ModelFileError: as `read_decision_rule`.
    """
    description = _describe(str(uri)) | rule.stored()
    data = (json.dumps(description, indent=2) + "\n").encode()
    storage.write_bytes(data, storage.join(str(uri), DESCRIPTION))


def _decision_rule(description: dict[str, Any]) -> DecisionRule:
    """Return the rule in a bundle.json; the oldest have only a threshold, and the recipe's criteria."""
    return DecisionRule(
        threshold=description["threshold"],
        temperature=description.get("temperature", 1.0),
        fitted_on=description.get("fitted_on"),
        decision_criteria=description.get("wish") or _criteria_of(description["recipe"]),
    )


def _criteria_of(recipe: dict[str, Any]) -> dict[str, Any]:
    return EvaluationSection.model_validate(recipe.get("evaluation", {})).decision_criteria


def _describe(folder: str) -> dict[str, Any]:
    """Return the content of bundle.json, checked to be of this version."""
    uri = storage.join(folder, DESCRIPTION)
    if not storage.exists(uri):
        raise _no_model(folder, DESCRIPTION)
    try:
        description: dict[str, Any] = json.loads(storage.read_bytes(uri))
        version = description["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{uri} cannot be read: {error!r}.", _HINT) from error
    missing = [key for key in _KEYS if key not in description]
    if version == SCHEMA_VERSION and missing:
        raise ModelFileError(f"{uri} lacks {', '.join(missing)}.", _HINT)
    if version != SCHEMA_VERSION:
        raise ModelFileError(
            f"{uri} has schema version {version}; "
            f"this dfray {dfray.__version__} reads {SCHEMA_VERSION}.",
            f"Use dfray {description.get('dfray_version', 'of its time')}.",
        )
    return description


def _no_model(folder: str, name: str) -> ModelFileError:
    return ModelFileError(f"{folder} holds no {name}, so it is no model of dfray.", _HINT)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
