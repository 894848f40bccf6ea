"""Files that are kept with runs behind MLflow's proxy: no two names become one, and a lost file is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError
from dfray.registry.measurement_store import load_measurement, save_measurement
from dfray.registry.versions import Versions
from dfray.serving.package import register
from dfray.tracking.artifacts import artifact_name
from dfray.tracking.run import Run, start_run
from tests.helpers.proxy import Fault, FaultProxy, Request
from tests.helpers.scored import measured
from tests.helpers.tiny import FIGURES, RECIPE

AWKWARD = [
    "a#b",
    "a#c",
    "a?b",
    "a%41",
    "aA",
    "a%2Fb",
    "a=23b",
    "größe 映像",
    "a\\b",
    "a;b",
    "a+b&c",
]


@pytest.fixture
def run(mlflow_url: str) -> Run:
    return start_run(RECIPE, mlflow_url, manifest_fingerprint="m")


@pytest.fixture
def proxy(mlflow_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(mlflow_url) as proxy:
        yield proxy


def test_names_that_a_proxy_mixes_up_are_kept_apart(run: Run) -> None:
    run.log_texts({f"notes/{artifact_name(name)}.txt": name for name in AWKWARD})
    for name in AWKWARD:
        path = run.client.download_artifacts(run.run_id, f"notes/{artifact_name(name)}.txt")
        assert Path(path).read_text() == name


def test_scores_of_models_with_such_names_are_their_own(run: Run) -> None:
    for apart, name in enumerate(("twins #1", "twins #2")):
        versions = Versions(name, run.tracking_uri)
        versions.client.create_registered_model(name)
        versions.client.create_model_version(name, "s3://none/model", run_id=run.run_id)
        save_measurement(versions, "1", measured(2.0 + apart))
    for apart, name in enumerate(("twins #1", "twins #2")):
        found = load_measurement(Versions(name, run.tracking_uri), "1")
        assert found is not None
        assert found.scores.equals(measured(2.0 + apart).scores)


def test_a_file_that_its_store_does_not_hold_afterwards_is_told(run: Run) -> None:
    with pytest.raises(RegistryError, match=r"took a#b.txt \(4 bytes\) .*there is no such file"):
        run.log_texts({"a#b.txt": "text"})


def test_a_version_whose_answer_was_lost_on_the_way_is_there_once(
    proxy: FaultProxy, run: Run, bundle_dir: Path
) -> None:
    """MLflow's client sends a request again whose answer does not come."""
    lost: list[Request] = []

    def lose_one_answer(request: Request) -> Fault | None:
        if not lost and request.target.endswith("/model-versions/create"):
            lost.append(request)
            return Fault(is_lost=True)
        return None

    proxy.fault = lose_one_answer
    section = RegistrySection(model_name="lost answer")
    number = register(
        bundle_dir,
        section=section,
        tracking_uri=proxy.url,
        run_id=run.run_id,
        registration="only",
        metrics=FIGURES,
    )
    versions = Versions(section.model_name, run.tracking_uri)
    assert lost
    assert versions.numbers() == [number] == ["1"]
