"""Detector on disk: weights as safetensors, everything else as JSON, nothing pickled.

    <folder>/model.safetensors   the detector's parameters and buffers
    <folder>/bundle.json         schema version, dfray version, SHA-256 of the weights, the resolved
                                 recipe, class names, decision rule, mean and std of the input,
                                 settings of face detection and crops, and the version of both; the origin
                                 of an imported detector
    <folder>/validation.json     validation's scores in numbers, from the fit of the decision rule; may be
                                 missing (`dfray.evaluation.reference`)

A bundle is loaded without the source of the backbone's initial weights, and without what adapted them: LoRA's
products and trained singular components are merged into the plain layers.

The JSON is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import dfray
from dfray import storage
from dfray.config import ModelSection
from dfray.documents import shown
from dfray.errors import ModelFileError, RecipeError
from dfray.faces.version import FACES_VERSION, UNSTATED
from dfray.models.backbone import Detector, build_detector
from dfray.models.bundle_description import (
    DESCRIPTION,
    HINT,
    SCHEMA_VERSION,
    DecisionRule,
    decision_criteria_of,
    decision_rule_of,
    missing_file_error,
    read_description,
)
from dfray.models.initial_values import SkipDraws
from dfray.models.preprocess import Preprocess
from dfray.models.tuning import plain_state
from dfray.models.views import running_mean, views_of

WEIGHTS = "model.safetensors"


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
        temperature, fitted_on, unfitted: as in `DecisionRule`.
        faces_version: version of how the faces were taken that it learned from.
        decision_criteria: likewise; None: those of the recipe.
        published: the origin of an imported detector, as `Published` reads it; None: dfray trained it.
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
    unfitted: str | None = None
    faces_version: int = FACES_VERSION
    published: dict[str, Any] | None = None

    @property
    def decision_rule(self) -> DecisionRule:
        criteria = self.decision_criteria or decision_criteria_of(self.recipe)
        return DecisionRule(
            self.threshold, self.temperature, self.fitted_on, criteria, self.unfitted
        )

    def save(self, folder: str | Path) -> None:
        """Write the bundle into the local `folder`, created if missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        weights = {name: value.contiguous() for name, value in plain_state(self.detector).items()}
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
        if self.published is not None:
            description["published"] = self.published
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> Bundle:
        """Return the bundle in the local `folder`, in evaluation mode on `device`.

        Raises:
            ModelFileError: a file is missing, truncated, not the one saved, or of another version.
            RecipeError: its network cannot be built.
        """
        folder = Path(folder)
        description = read_description(str(folder))
        if not (folder / WEIGHTS).is_file():
            raise missing_file_error(str(folder), WEIGHTS)
        sha256 = _sha256(folder / WEIGHTS)
        if sha256 != description["weights_sha256"]:
            raise ModelFileError(
                f"{folder / WEIGHTS} is not the file that was saved: its SHA-256 is {sha256}, "
                f"not {description['weights_sha256']}.",
                HINT,
            )
        resolved = {name: description[name] for name in ("mean", "std")}
        section = ModelSection.model_validate(description["recipe"]["model"] | resolved)
        try:
            with SkipDraws():
                detector = build_detector(
                    section.as_saved().without_weights(), len(description["class_names"])
                )
        except RecipeError as error:
            raise error.at(str(folder / DESCRIPTION)) from error
        try:
            detector.load_state_dict(load_file(folder / WEIGHTS), strict=True)
        except (SafetensorError, RuntimeError) as error:
            raise ModelFileError(
                f"{folder / WEIGHTS} does not fit {section.backbone}: {shown(str(error))}.", HINT
            ) from error
        return cls(
            detector=detector.to(device).eval(),
            preprocess=Preprocess(section).to(device),
            recipe=description["recipe"],
            class_names=tuple(description["class_names"]),
            faces=description["faces"],
            faces_version=description.get("faces_version", UNSTATED),
            published=description.get("published"),
            **asdict(decision_rule_of(description)),
        )

    def predict(
        self, faces: np.ndarray | Tensor, batch_size: int = 64
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score face crops, uint8 (N, H, H, 3), in float32 on the detector's device.

        A score is by the views of the decision rule, the embedding is the first view's.

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
                seen = [
                    self.detector(self.preprocess(view))
                    for view in views_of(batch.to(device), self.decision_rule.views)
                ]
                log_odds = running_mean(fake_log_odds(logits) for logits, _ in seen)
                probabilities.append((log_odds / self.temperature).sigmoid().cpu())
                embeddings.append(seen[0][1].float().cpu())
        if not embeddings:
            return np.empty(0, np.float32), np.empty((0, self.detector.embedding_dim), np.float32)
        return torch.cat(probabilities).numpy(), torch.cat(embeddings).numpy()


def store_bundle(bundle: Bundle, uri: str) -> None:
    """Write the bundle into the folder `uri`, local or s3://; its description comes last."""
    with storage.temporary_folder() as folder:
        bundle.save(folder)
        storage.put_folder(folder, uri, last=DESCRIPTION)


def fake_probability(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the sum of the fake classes' softmax: (B, C) logits, class 0 real -> (B,) float32.

    A temperature divides the log-odds of all fake classes together against real, which does not change
    the order of faces.
    """
    return (fake_log_odds(logits) / temperature).sigmoid()


def fake_log_odds(logits: Tensor) -> Tensor:
    """Return the log of P(any fake class) over P(real): (B, C) logits, class 0 real -> (B,) float32."""
    return logits.float()[:, 1:].logsumexp(dim=1) - logits.float()[:, 0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
