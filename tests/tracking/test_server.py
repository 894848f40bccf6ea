"""Registration, promotion and scoring against a real MLflow server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import RegistryError
from dfray.registry.promote import promote
from dfray.registry.versions import Versions
from dfray.registry.views import read_history
from dfray.serving.package import downloaded_bundle, register
from dfray.serving.score_files import score_files
from dfray.tracking.client import connect
from dfray.tracking.run import start_run
from tests.helpers.proxy import Fault, FaultProxy, Request
from tests.helpers.scored import measured
from tests.helpers.tiny import FIGURES, RECIPE, SECTION


@pytest.fixture
def server(mlflow_url: str) -> str:
    return mlflow_url


def test_register_promote_and_score_without_a_word_then_lose_files_and_rights(
    server: str, bundle_dir: Path, clip: Path, mlflow_packages: str, capfd: pytest.CaptureFixture
):
    with start_run(RECIPE, server, manifest_fingerprint="m") as run:
        run.log_metrics({"loss": 0.5}, step=0)
        version = register(
            bundle_dir,
            section=SECTION,
            tracking_uri=server,
            run_id=run.run_id,
            registration="only",
            metrics=FIGURES,
        )
    # Figures without scores are measured anew.
    decision = promote(SECTION, server, measure=lambda *_: measured(), slowdown=lambda *_: 1.0)
    assert decision.promoted
    assert read_history(SECTION, server) == [decision]
    champion = f"models:/{SECTION.model_name}@champion"  # of several on this server
    (scored,) = score_files([str(clip)], model_uri=champion, tracking_uri=server)
    assert (scored.outcome, scored.n_faces) == ("ok", 4)
    with downloaded_bundle(SECTION.model_name, version, server) as bundle:
        assert (Path(bundle) / "bundle.json").is_file()
    assert not Path(bundle).exists()
    assert capfd.readouterr() == ("", "")
    source = Versions(SECTION.model_name, server).get(version).source
    package = storage.join(mlflow_packages, source.removeprefix("mlflow-artifacts:/"))
    storage.filesystem(package)[0].rm(package, recursive=True)
    with pytest.raises(RegistryError, match="all its files are gone"):
        score_files([str(clip)], model_uri=champion, tracking_uri=server)
    with FaultProxy(server) as proxy:
        history = Versions(SECTION.model_name, proxy.url).history
        proxy.fault = at_writing(Fault(403))
        with pytest.raises(RegistryError, match=r"does not let you .*403.*Nothing was changed"):
            history.append(decision, after=1)
        assert read_history(SECTION, server) == [decision]
        proxy.fault = at_writing(Fault(is_lost=True))
        assert history.append(decision, after=1).sequence == 2, "it was its own rival"
    assert [one.void for one in read_history(SECTION, server)] == [False, False, True]


def test_of_two_who_begin_an_experiment_at_once_both_have_it(server: str):
    section = SECTION.model_copy(update={"experiment": "begun at once"})

    def meanwhile(request: Request) -> None:
        if request.target.endswith("experiments/create"):
            connect(server).create_experiment(section.experiment)

    with FaultProxy(server) as proxy:
        proxy.fault = meanwhile
        recipe = RECIPE.model_copy(update={"registry": section})
        run = start_run(recipe, proxy.url, manifest_fingerprint="m")
        experiment = connect(server).get_experiment_by_name(section.experiment)
        assert run.experiment_id() == experiment.experiment_id


def at_writing(fault: Fault) -> Callable[[Request], Fault | None]:
    """`fault` becomes of the first request that would write a decision."""
    left = [fault]

    def of(request: Request) -> Fault | None:
        writes = request.target.endswith("model-versions/create")
        return left.pop() if writes and left else None

    return of
