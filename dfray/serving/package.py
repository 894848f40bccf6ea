"""Package of a detector as a version of a registered model: all that scoring needs, and nothing pickled.

    python_model   mlflow_model.py, as source
    bundle         weights (safetensors), recipe, preprocessing, threshold, class names
    face_detector  the MediaPipe model files that the bundle's faces were found and confirmed with
    wheel          dfray itself, for machines that do not have it
    requirements   what scoring imports, pinned
    MODEL_CARD.md  its use, data, metrics and terms
    SHA256SUMS     of all these files

Pictures and paths do not share one MLflow input schema, so the signature states the output only.
"""

from __future__ import annotations

import importlib.resources
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfray import storage
from dfray.config import FacesSection, RegistrySection
from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    detector_kinds,
    detector_model_path,
    landmark_model_path,
)
from dfray.faces.version import UNSTATED
from dfray.models.bundle_description import read_description
from dfray.registry import checksums
from dfray.registry.champion import repaired_state
from dfray.registry.measurement_store import metric_tags, save_scores
from dfray.registry.measurements import HeadlineMetrics
from dfray.registry.versions import CANDIDATE, Versions
from dfray.serving.model_card import FILE as CARD
from dfray.serving.model_card import CardContext, as_description, write_card
from dfray.serving.requirements import inference_requirements
from dfray.serving.wheel import build_wheel
from dfray.text import tag
from dfray.tracking.artifacts import log_package
from dfray.tracking.client import error_code, talking

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import Model, ModelSignature

REGISTRATION = "dfray.registration"
"""Tag of a version: the name of its registration."""
PUBLISHED = "dfray.published."
"""Beginning of the tags of a version that tell the origin of an imported detector."""
MODEL_ID = "dfray.logged_model"
"""Tag of a version: its logged model, which MLflow's own field for it does not keep."""


def register(
    bundle_dir: str | Path,
    *,
    section: RegistrySection,
    tracking_uri: str,
    run_id: str,
    registration: str,
    metrics: HeadlineMetrics | None,
    scores: pa.Table | None = None,
    context: CardContext | None = None,
) -> str:
    """Package the bundle, register it as the next version, and point the alias `candidate` at it.

    A registration that was killed is ended by the next one with the same `registration` of the same run and
    weights: the version that it made is found, not made again.

    Args:
        bundle_dir: a folder that `Bundle.save` wrote.
        run_id: the MLflow run that trained or imported it.
        registration: name of this registration among those of the run, such as the key of its evaluation.
        metrics: of the model on the evaluation set; stored with the version. None: of an imported one.
        scores: STORED_SCORES that the metrics are of; without them a promotion scores the set again.
        context: data and evaluation for the model card.

    Returns:
        The version's number.

    Raises:
        ModelFileError: the bundle or the face detector's model is missing or damaged.
        RegistryError: MLflow failed.
    """
    versions = Versions(section.model_name, tracking_uri)
    client = versions.client
    if versions.numbers():
        repaired_state(versions)
    description = read_description(str(bundle_dir))
    with talking(f"read run {run_id}"):
        run = client.get_run(run_id)
    origin = {REGISTRATION: registration} | _identity(description)
    version = versions.of_run(run_id, origin)
    if version is None:
        tags = _tags(description) | (metric_tags(metrics) if metrics else {}) | origin
        card = write_card(
            section.model_name, description, run.data.tags, metrics, context or CardContext()
        )
        with talking(f"register {bundle_dir}"):
            _delete_leftovers(client, run, origin)
            package = _log(client, run, Path(bundle_dir), description, card, origin)
            _ensure_model(client, section.model_name)
            version = _create(versions, run_id, package, tags, card)
    number = str(version.version)
    _log_output(client, run, version.tags[MODEL_ID])
    if metrics is not None and scores is not None:
        save_scores(versions, number, metrics.evaluation_set, scores)
    versions.point(CANDIDATE, number)
    return number


@contextmanager
def downloaded_bundle(name: str, version: str, tracking_uri: str) -> Iterator[str]:
    """Yield the local folder of the bundle inside a registered version, for as long as the block lasts."""
    with Versions(name, tracking_uri).downloaded(version) as model:
        yield str(model / "artifacts" / "bundle")


def _gather(bundle: Path, description: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return the model's artifacts: name -> local path."""
    faces = FacesSection.from_stored(description["faces"])
    detectors = folder / "face_detector"
    detectors.mkdir()
    for kind in detector_kinds(faces.detector):
        model = detector_model_path(kind, faces.detector_model)
        shutil.copyfile(model, detectors / FILE_NAMES[kind])
    if faces.doubt_score:
        landmarks = landmark_model_path(faces.detector_model)
        shutil.copyfile(landmarks, detectors / LANDMARKS_FILE)
    bundle_copy = shutil.copytree(bundle, folder / "bundle")
    return {
        "bundle": str(bundle_copy),
        "face_detector": str(detectors),
        "wheel": str(build_wheel(folder)),
    }


@dataclass(frozen=True)
class _Package:
    """An uploaded package: MLflow's model, and the SHA-256 of its list of checksums."""

    model: LoggedModel
    digest: str


def _log(
    client: MlflowClient,
    run: Run,
    bundle: Path,
    description: dict[str, Any],
    card: str,
    origin: dict[str, str],
) -> _Package:
    """Save the package in a temporary folder, and upload it as a model of the run."""
    from mlflow.models import Model

    logged = client.create_logged_model(
        run.info.experiment_id,
        name="detector",
        source_run_id=run.info.run_id,
        tags=_tags(description) | origin,
        params=run.data.params,
    )
    meta = Model(
        artifact_path=logged.artifact_location, run_id=run.info.run_id, model_id=logged.model_id
    )
    with storage.temporary_folder() as folder:
        path = Path(folder) / "model"
        _save(path, _gather(bundle, description, Path(folder)), meta)
        (path / CARD).write_text(card)
        digest = checksums.write_checksums(path)
        log_package(client, logged.model_id, path)
    return _Package(client.finalize_logged_model(logged.model_id, "READY"), digest)


def _create(
    versions: Versions, run_id: str, package: _Package, tags: dict[str, str], card: str
) -> ModelVersion:
    """Create the version, and return it; the first one, if MLflow's client repeated a request that was done.

    That happens where the first response is lost.
    """
    made = versions.client.create_model_version(
        versions.name,
        # Not models:/ID: the registry would look that up on the process-wide tracking URI.
        source=package.model.artifact_location,
        run_id=run_id,
        model_id=package.model.model_id,
        tags=tags | {checksums.TAG: package.digest, MODEL_ID: package.model.model_id},
        description=as_description(card),
    )
    first = versions.of_run(run_id, {checksums.TAG: package.digest})
    if first is None or first.version == made.version:
        return made
    versions.client.delete_model_version(versions.name, made.version)
    return first


def _delete_leftovers(client: MlflowClient, run: Run, origin: dict[str, str]) -> None:
    """Delete the packages of the run that registrations of this origin uploaded before they were killed."""
    query = " AND ".join(f"tags.`{name}` = '{value}'" for name, value in origin.items())
    for model in client.search_logged_models([run.info.experiment_id], query):
        if model.source_run_id == run.info.run_id:
            client.delete_logged_model(model.model_id)


def _log_output(client: MlflowClient, run: Run, model_id: str) -> None:
    """Name the model among the outputs of its run, once."""
    from mlflow.entities import LoggedModelOutput

    if model_id not in [output.model_id for output in run.outputs.model_outputs]:
        with talking(f"tell run {run.info.run_id} its model"):
            client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step=0)])


def _save(path: Path, artifacts: dict[str, str], meta: Model) -> None:
    import mlflow.pyfunc
    import pandas as pd

    serving = importlib.resources.files("dfray.serving").joinpath("mlflow_model.py")
    with importlib.resources.as_file(serving) as code, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on signatures and environments that we decided
        mlflow.pyfunc.save_model(
            path=str(path),
            python_model=str(code),
            artifacts=artifacts,
            pip_requirements=list(inference_requirements()),
            signature=_signature(),
            input_example=pd.DataFrame({"video": ["clip.mp4"]}),
            mlflow_model=meta,
        )


def _signature() -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from dfray.serving.scorer import COLUMNS

    columns = [ColSpec(kind, name, required=not null) for name, (kind, null) in COLUMNS.items()]
    return ModelSignature(outputs=Schema(columns))


def _identity(description: dict[str, Any]) -> dict[str, str]:
    """Return the tags that tell models of one run apart."""
    return {
        "dfray.weights_sha256": str(description["weights_sha256"]),
        "dfray.threshold": str(description["threshold"]),
    }


def _tags(description: dict[str, Any]) -> dict[str, str]:
    return {
        "dfray.version": str(description["dfray_version"]),
        "dfray.backbone": str(description["recipe"]["model"]["backbone"]),
        **_identity(description),
        "dfray.faces_version": str(description.get("faces_version", UNSTATED)),
        **_published_tags(description.get("published") or {}),
    }


def _published_tags(published: dict[str, Any]) -> dict[str, str]:
    """Return the tags that tell the origin of an imported detector."""
    if not published:
        return {}
    told = ("detector", "source", "read_from", "sha256", "licence", "trained_on")
    tags = {f"{PUBLISHED}{name}": tag(published[name]) for name in told}
    return tags | {f"{PUBLISHED}datasets": tag(",".join(published["datasets"]))}


def _ensure_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error_code(error) != "RESOURCE_ALREADY_EXISTS":
            raise
