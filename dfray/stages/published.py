"""Import of a published detector as a version of a registered model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfray import storage
from dfray.config import RegistrySection
from dfray.faces.version import FACES_VERSION
from dfray.progress import stage

if TYPE_CHECKING:
    from dfray.models.bundle import Bundle
    from dfray.models.published import PublishedDetector


@dataclass(frozen=True)
class ImportedVersion:
    """A published detector in the registry.

    Attributes:
        name, version: of the registered model.
        is_new: False if this file was imported under this name before.
        published: its origin, as `Published` reads it.
    """

    name: str
    version: str
    is_new: bool
    published: dict[str, Any]


def import_detector(
    detector: str,
    *,
    name: str,
    weights: str | None = None,
    tracking_uri: str | None = None,
) -> ImportedVersion:
    """Register a published detector as the alias `candidate` of a model; a file is imported once for a name.

    Args:
        detector: of the table of published detectors.
        name: of the registered model, which is made if it is missing.
        weights: local path, s3:// or hf:// of its file; by default the published one, if it is on the hub.
        tracking_uri: MLflow's; by default as `dfray score` has it.

    Raises:
        UserError: there is no such detector, or its file is not on the hub and no copy is named.
        ModelFileError: the file cannot be fetched or read without running code, or is not of the detector.
        RegistryError: MLflow failed.
    """
    from dfray.models.published import load_fetched, published_detector
    from dfray.models.sources import local_file
    from dfray.tracking.client import resolve_tracking_uri

    section = RegistrySection(model_name=name, tracking_uri=tracking_uri)
    place = resolve_tracking_uri(section, "runs")
    found = published_detector(detector)
    uri = storage.absolute(found.file(weights))
    with stage("import") as line:
        line.update(detail=uri)
        with local_file(uri) as path:
            published = found.record(uri, storage.sha256(path))
            key = _key(found, name, uri, published["sha256"])
            number = _imported_before(section, place, key)
            is_new = number is None
            if number is None:
                bundle = load_fetched(found, path, published)
                number = _register(bundle, section, place, key)
        line.finish(f"{name} version {number}")
    return ImportedVersion(name, number, is_new, published)


def _key(detector: PublishedDetector, name: str, uri: str, sha256: str) -> str:
    """Return a key of an import: the model's name, the file, and what this dfray makes of it."""
    parts = {
        "name": name,  # each has a run of its own, as a registration ends what its run left unfinished
        "detector": detector.name,
        "sha256": sha256,
        "model": detector.settled(detector.section, uri).model_dump(mode="json"),
        "faces": detector.faces.model_dump(mode="json"),
        "faces_version": FACES_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _imported_before(section: RegistrySection, place: str, key: str) -> str | None:
    """Return the version that an import of the key made, once more the candidate; None: there is none."""
    from dfray.registry.versions import CANDIDATE, Versions
    from dfray.serving.package import REGISTRATION

    versions = Versions(section.model_name, place)
    for version in versions.all():
        if version.tags.get(REGISTRATION) == key:
            versions.point(CANDIDATE, str(version.version))
            return str(version.version)
    return None


def _register(bundle: Bundle, section: RegistrySection, place: str, key: str) -> str:
    from dfray.serving.package import register
    from dfray.tracking.imported import import_run

    published = bundle.published or {}
    with storage.temporary_folder() as folder:
        bundle.save(Path(folder, "bundle"))
        with import_run(
            place,
            section.experiment,
            key=key,
            name=bundle.recipe["name"],
            params={"model": bundle.recipe["model"], "faces": bundle.faces},
            tags={f"dfray.published.{label}": str(value) for label, value in published.items()},
        ) as run:
            return register(
                Path(folder, "bundle"),
                section=section,
                tracking_uri=place,
                run_id=run.run_id,
                registration=key,
                metrics=None,
            )
