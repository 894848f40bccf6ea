"""Fixtures that several packages' tests share."""

from __future__ import annotations

import gc
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from tests.helpers.cluster import LocalCluster, local_cluster
from tests.helpers.proxy import FaultProxy

pytest_plugins = [
    "tests.helpers.sharing",
    "tests.helpers.mlflow_store",
    "tests.helpers.registry",
    "tests.helpers.refused_run",
]

# Before anything imports Ray: tokens as everywhere, no token file in the home folder of who tests.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)
for name in ("RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
    os.environ.pop(name, None)
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.pop("MLFLOW_TRACKING_URI", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # commands leave bytecode, as a user's do
sys.dont_write_bytecode = False  # and so do the tests, for the next run
# Libraries leave a million objects, and Python looks through them all every few thousand new ones.
gc.set_threshold(50_000, 20, 20)
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # these nets are tiny: threads would only wait in a loop
# Ray Train takes an epoch's report once in so many seconds; the epochs of toys are shorter than one.
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")


@pytest.fixture(scope="session")
def s3_proxy() -> Iterator[FaultProxy]:
    """What stands between the tests and an S3 server on loopback, with credentials in the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    with FaultProxy(f"http://{host}:{port}") as proxy:
        for name, value in {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "3",  # faults that stay are given up soon
        }.items():
            patch.setenv(name, value)
        yield proxy
    patch.undo()
    server.stop()


@pytest.fixture(scope="session")
def s3_endpoint(s3_proxy: FaultProxy) -> str:
    """The URL of an S3 server on loopback."""
    return s3_proxy.url


@pytest.fixture
def s3_faults(s3_proxy: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy in front of S3, for faults that end with the test."""
    s3_proxy.requests.clear()
    s3_proxy.answered.clear()
    yield s3_proxy
    s3_proxy.pass_on()


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    """s3://… of a fresh bucket."""
    import uuid

    import boto3

    name = f"dfray-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def _local_cluster(
    s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def two_nodes(_local_cluster: LocalCluster) -> Iterator[LocalCluster]:
    """A Ray cluster of two nodes of four logical CPUs, the head (role=cpu) and one of role=gpu.

    All tests share it; the second node is replaced if a test has killed it. Drivers and clients are processes
    of their own: `two_nodes.dfray(...)`, `two_nodes.python(...)`.
    """
    if _local_cluster.nodes() == ["head"]:
        _local_cluster.add("gpu")
    yield _local_cluster
    _local_cluster.end_drivers()


QUIET_RAY = {
    "REPORTER_UPDATE_INTERVAL_MS": "60000",
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
    "LOG_NAME_UPDATE_INTERVAL_S": "5",
}
"""Settings that keep Ray from work that no test needs: statistics of the node, a look for new log files ten
times a second."""


@pytest.fixture(scope="session")
def _ray_sessions(s3_endpoint: str) -> Iterator[ExitStack]:
    """Ray's workers inherit the endpoint, so that they know S3."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def ray_session(_ray_sessions: ExitStack) -> Iterator[None]:
    """The one local Ray of all tests that need one, started again if a test has ended it.

    It declares eight logical CPUs, and has no dashboard, whose processes take CPU all the time, as do the
    actors of a module's runs until Python lets go of them.
    """
    import ray

    from dfray.config import ClusterSection
    from dfray.session import session

    if not ray.is_initialized():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray, "init", partial(ray.init, include_dashboard=False))
            for name, value in QUIET_RAY.items():
                patch.setenv(name, value)
            cluster = ClusterSection(num_cpus=8, object_store_mb=512)
            _ray_sessions.enter_context(session(cluster))
    yield
    gc.collect()


@pytest.fixture(scope="module")
def scored_in_process(ray_session: None) -> Iterator[None]:
    """Faces are scored in this process, not by actors, in all tests of the module."""
    from tests.helpers.scoring import scoring_in_process

    with scoring_in_process():
        yield


@pytest.fixture(scope="session")
def mlflow_packages(s3_endpoint: str) -> str:
    """s3://… of the folder where the server at `mlflow_url` keeps its files."""
    import boto3

    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket="dfray-packages")
    return "s3://dfray-packages/mlflow"


@pytest.fixture(scope="session")
def mlflow_url(mlflow_packages: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an MLflow server that all tests share, each with experiments or models of its own."""
    from tests.helpers.mlflow_server import mlflow_server

    with mlflow_server(tmp_path_factory.mktemp("mlflow"), artifacts=mlflow_packages) as url:
        yield url


@pytest.fixture
def signals_restored() -> Iterator[None]:
    """Handlers of signals are put back after the test; Ctrl-C raises in it."""
    import signal

    handlers = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    }
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
