"""The whole road through the registry against a real MLflow server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfray.errors import RegistryError
from dfray.registry.package import downloaded_bundle, register
from dfray.registry.promote import promote
from dfray.registry.score import score_files
from dfray.registry.show import read_decisions
from dfray.registry.tracking import start_run
from dfray.registry.versions import Versions
from tests.helpers.mlflow_server import mlflow_server
from tests.helpers.proxy import Fault, FaultProxy
from tests.registry.scored import measured
from tests.registry.tiny import FIGURES, RECIPE, SECTION


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path) as url:
        yield url


def test_register_promote_and_score_without_a_word_then_lose_files_and_rights(
    server: str, bundle_dir: Path, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture
):
    with start_run(RECIPE, server, manifest_fingerprint="m") as run:
        run.log_metrics({"loss": 0.5}, step=0)
        version = register(
            bundle_dir,
            section=SECTION,
            tracking_uri=server,
            run_id=run.run_id,
            figures=FIGURES,
        )
    # Figures without scores are measured anew.
    decision = promote(SECTION, server, measure=lambda *_: measured(), slowdown=lambda *_: 1.0)
    assert decision.promoted
    assert read_decisions(SECTION, server) == [decision]
    (scored,) = score_files([str(clip)], tracking_uri=server)
    assert (scored.outcome, scored.n_faces) == ("ok", 4)
    with downloaded_bundle(SECTION.model_name, version, server) as folder:
        assert (Path(folder) / "bundle.json").is_file()
    assert not Path(folder).exists()
    assert capfd.readouterr() == ("", "")
    shutil.rmtree(tmp_path / "artifacts")
    with pytest.raises(RegistryError, match="SHA256SUMS is gone|could not download"):
        score_files([str(clip)], tracking_uri=server)
    with FaultProxy(server) as proxy:
        proxy.fault = lambda request: (
            Fault(403) if request.target.endswith("model-versions/create") else None
        )
        history = Versions(SECTION.model_name, proxy.url).history
        with pytest.raises(RegistryError, match=r"read-only for you .*403.*Nothing was changed"):
            history.write_down(decision, after=1)
    assert read_decisions(SECTION, server) == [decision]
