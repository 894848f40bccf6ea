"""One MLflow store for all tests of the registry: making the database costs seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dfray.config import GatesSection, RegistrySection
from dfray.registry.connection import connect, resolve_tracking_uri
from dfray.registry.gates import Figures
from tests.registry import tiny


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MLflow's own use of SQLAlchemy warns; ours is silenced, a test's direct calls are not."""
    silent = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(silent)


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    # A space and an umlaut in the path, as users have them.
    folder = tmp_path_factory.mktemp("MLflow für alle")
    return resolve_tracking_uri(RegistrySection(), str(folder))


@pytest.fixture
def section(request: pytest.FixtureRequest) -> RegistrySection:
    """Settings with a registered model of the test's own."""
    name = request.node.name.replace("[", "-").replace("]", "")
    return RegistrySection(model_name=name, gates=GatesSection(min_auc=0.8, max_auc_drop=0.02))


@pytest.fixture
def add_version(section: RegistrySection, tracking_uri: str, tmp_path: Path) -> Callable[..., str]:
    """Register an empty version with figures, as `candidate`."""
    from dfray.registry.versions import CANDIDATE, Versions, figure_tags

    client = connect(tracking_uri)
    client.create_registered_model(section.model_name)

    def add(figures: Figures | None = None) -> str:
        tags = figure_tags(figures) if figures else {}
        version = client.create_model_version(section.model_name, tmp_path.as_uri(), tags=tags)
        Versions(section.model_name, tracking_uri).point(CANDIDATE, str(version.version))
        return str(version.version)

    return add


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a head."""
    folder = tmp_path_factory.mktemp("klip für")
    return tiny.write_clip(folder / "ein clip.mp4", tiny.portrait())
