"""The whole road through the registry against a real MLflow server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfray.registry.package import downloaded_bundle, register
from dfray.registry.promote import history, promote
from dfray.registry.score import score_files
from dfray.registry.tracking import start_run
from tests.helpers.mlflow_server import mlflow_server
from tests.registry.tiny import FIGURES, RECIPE, SECTION


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path) as url:
        yield url


def test_register_promote_and_score_without_a_word(
    server: str, bundle_dir: Path, clip: Path, capfd: pytest.CaptureFixture
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
    decision = promote(SECTION, server, evaluate=lambda _: FIGURES)
    assert history(SECTION, server) == [decision]
    (scored,) = score_files([str(clip)], tracking_uri=server)
    assert (scored.outcome, scored.n_faces) == ("ok", 4)
    with downloaded_bundle(SECTION.model_name, version, server) as folder:
        assert (Path(folder) / "bundle.json").is_file()
    assert not Path(folder).exists()
    assert capfd.readouterr() == ("", "")
