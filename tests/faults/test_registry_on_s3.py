"""A registry whose packages lie in an object store that fails, fills up, or loses them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dfray import storage
from dfray.config import RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.registry.history import PromotionRecord
from dfray.registry.promote import promote
from dfray.registry.versions import CANDIDATE, CHAMPION, Versions
from dfray.serving.package import register
from dfray.tracking.run import Run, start_run
from tests.helpers.proxy import FULL, FaultProxy
from tests.helpers.scored import measured
from tests.helpers.tiny import RECIPE, save_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def section(request: pytest.FixtureRequest) -> RegistrySection:
    return RegistrySection(model_name=request.node.name)


@pytest.fixture
def run(mlflow_url: str, s3_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return start_run(RECIPE, mlflow_url, manifest_fingerprint="m")


@pytest.fixture
def add(run: Run, section: RegistrySection, bundle: Path) -> Callable[[], str]:
    """Registers one more version, as good as the others."""
    found, registrations = measured(), itertools.count()

    def register_next() -> str:
        return register(
            bundle,
            section=section,
            tracking_uri=run.tracking_uri,
            run_id=run.run_id,
            registration=str(next(registrations)),
            metrics=found.metrics,
            scores=found.scores,
        )

    return register_next


@pytest.fixture
def decide(run: Run, section: RegistrySection) -> Callable[..., PromotionRecord]:
    return partial(
        promote,
        section,
        run.tracking_uri,
        measure=lambda *_: measured(),
        slowdown=lambda *_: 1.0,
    )


@pytest.fixture
def versions(run: Run, section: RegistrySection) -> Versions:
    return Versions(section.model_name, run.tracking_uri)


def test_a_store_that_refuses_every_third_request_is_not_noticed(
    add: Callable, decide: Callable, s3_faults: FaultProxy
):
    s3_faults.refuse_every(3)
    assert add() == "1"
    assert decide().promoted


def test_a_store_that_is_full_is_told_and_nothing_is_registered(
    add: Callable, versions: Versions, s3_faults: FaultProxy
):
    s3_faults.fault = lambda request: FULL if request.method == "PUT" else None
    told = r"could not register .*its server failed again and again .*object store .* full"
    with pytest.raises(RegistryError, match=told) as caught:
        add()
    assert "\n" not in str(caught.value)
    assert versions.all() == []
    s3_faults.pass_on()
    assert add() == "1"
    assert versions.aliases() == {CANDIDATE: "1"}


def test_a_champion_that_the_store_has_lost_is_told_and_replaced_only_if_that_is_asked_for(
    add: Callable, decide: Callable, versions: Versions, mlflow_packages: str, s3_faults: FaultProxy
):
    add()
    decide()
    add()
    assert not [one for one in s3_faults.requests if "X-Amz-Signature" in one.target], (
        "a client went to the object store itself, which it may not be able to reach"
    )
    folder = storage.join(
        mlflow_packages, versions.get("1").source.removeprefix("mlflow-artifacts:/")
    )
    files = list(storage.walk_files(folder))
    (weights,) = (file for file in files if file.endswith("model.safetensors"))
    fs, _ = storage.filesystem(weights)
    for damage, told in (
        (lambda: storage.write_bytes(b"other", weights), "model.safetensors was changed"),
        (lambda: fs.rm(weights), "model.safetensors is gone"),
        (lambda: fs.rm(folder, recursive=True), "all its files are gone"),
    ):
        damage()
        with pytest.raises(UserError, match=rf"version 1, is damaged: .*{told}\. It was not rep"):
            decide()
    assert versions.aliases()[CHAMPION] == "1"
    assert decide(over_lost_champion=True).promoted
    assert versions.aliases()[CHAMPION] == "2"
