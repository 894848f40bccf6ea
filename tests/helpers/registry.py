"""Fixtures of registered models: one MLflow store for all tests, as making its database costs seconds.

Imports are inside the fixtures: a plugin is also loaded by the process that only deals out the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dfray.config import RegistrySection
    from dfray.registry.measurements import Measurement


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    from dfray.config import RegistrySection
    from dfray.tracking.client import resolve_tracking_uri

    # A space and an umlaut in the path, as users have them.
    folder = tmp_path_factory.mktemp("MLflow für alle")
    return resolve_tracking_uri(RegistrySection(), str(folder))


@pytest.fixture
def section(request: pytest.FixtureRequest) -> RegistrySection:
    """Settings with a registered model of the test's own."""
    return section_of(request.node.name.replace("[", "-").replace("]", ""))


def section_of(name: str) -> RegistrySection:
    """Return settings with the registered model `name`, and gates that 80 videos can pass."""
    from dfray.config import GatesSection, RegistrySection

    gates = GatesSection(min_auc=0.75, auc_margin=0.03, balanced_accuracy_margin=0.1, resamples=300)
    return RegistrySection(model_name=name, gates=gates)


@pytest.fixture
def add_version(section: RegistrySection, tracking_uri: str, tmp_path: Path) -> Callable[..., str]:
    """Register a version as `candidate`: a package of one small file, and what it was measured to do."""
    return VersionMaker(section, tracking_uri, tmp_path)


DESCRIPTION = {
    "schema_version": 2,
    "dfray_version": "0.1.0",
    "weights_sha256": 64 * "0",
    "class_names": ["real", "fake"],
    "threshold": 0.5,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "faces": {},
    "recipe": {"name": "made", "model": {}},
}
"""Content of bundle.json; there are no weights, which nothing here loads."""


class VersionMaker:
    def __init__(self, section: RegistrySection, tracking_uri: str, folder: Path) -> None:
        from dfray.registry.versions import Versions

        self.versions = Versions(section.model_name, tracking_uri)
        self.folder, self.made = folder, 0

    def __call__(self, measured: Measurement | None = None, faces_version: int = 2) -> str:
        import json

        from dfray.registry import checksums
        from dfray.registry.measurement_store import save_measurement
        from dfray.registry.versions import CANDIDATE

        client, name = self.versions.client, self.versions.name
        package = self.package(str(self.made))
        (package / "artifacts" / "bundle").mkdir(parents=True)
        text = json.dumps(DESCRIPTION | {"faces_version": faces_version, "made": self.made})
        (package / "artifacts" / "bundle" / "bundle.json").write_text(text)
        if not self.made:
            client.create_registered_model(name)
        self.made += 1
        run = client.create_run("0")
        version = client.create_model_version(
            name,
            package.as_uri(),
            run_id=run.info.run_id,
            tags={checksums.TAG: checksums.write_checksums(package)},
        )
        number = str(version.version)
        if measured is not None:
            save_measurement(self.versions, number, measured)
        self.versions.point(CANDIDATE, number)
        return number

    def package(self, made: str) -> Path:
        """The folder of the version that was the `made`-th to be made, from 0."""
        return self.folder / f"package-{made}"


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.helpers import tiny

    return tiny.save_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a head."""
    from tests.helpers import tiny

    folder = tmp_path_factory.mktemp("klip für")
    return tiny.write_clip(folder / "ein clip.mp4", tiny.portrait())
