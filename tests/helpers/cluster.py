"""A Ray cluster of several nodes on this machine, started by cluster/local.sh as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[2]
_OWN = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class LocalCluster:
    """Drives cluster/local.sh with the state folder `state`; starts nothing by itself.

    Attributes:
        settings: CPUS, PORT and the like, for the script's environment.
    """

    def __init__(self, state: Path, **settings: str) -> None:
        self.state, self.settings = state, settings
        self.drivers: list[subprocess.Popen[str]] = []

    def sh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script; does not raise."""
        kept = {name: value for name, value in os.environ.items() if name not in _OWN}
        own = {
            "DFRAY_CLUSTER_DIR": str(self.state),
            "RAY": str(Path(sys.executable).parent / "ray"),
        }
        return subprocess.run(
            [REPOSITORY / "cluster" / "local.sh", *arguments],
            env=kept | own | self.settings,
            capture_output=True,
            text=True,
            check=False,
        )

    def require(self, *arguments: str) -> str:
        """What the script prints; raises with what it says if it fails."""
        done = self.sh(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def address(self) -> str:
        """Of the GCS, host:port."""
        return (self.state / "address").read_text().strip()

    @property
    def jobs_url(self) -> str:
        """Of the Jobs API, http://host:port."""
        return (self.state / "jobs").read_text().strip()

    def environment(self) -> dict[str, str]:
        """The environment of a driver or client: this one, and what `env` exports."""
        lines = [line.removeprefix("export ") for line in self.require("env").splitlines()]
        exported = dict(line.split("=", 1) for line in lines)
        kept = {name: value for name, value in os.environ.items() if name not in _OWN}
        return kept | exported | {"PYTHONPATH": str(REPOSITORY)}

    def dfray(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `dfray` command as a driver of this cluster; its output is piped."""
        return self.python("-m", "dfray.cli", *arguments, f"cluster.address={self.address}")

    def python(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Python in the environment of a driver; its output is piped."""
        driver = subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment(),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.drivers.append(driver)
        return driver

    def end_drivers(self) -> None:
        """SIGKILL those that a test which failed has left."""
        for driver in self.drivers:
            driver.kill()
            driver.wait()
        self.drivers.clear()

    def nodes(self) -> list[str]:
        """The names of the nodes that run."""
        names = sorted(file.stem for file in self.state.glob("*.pid"))
        return [name for name in names if self.processes(name)]

    def add(self, role: str = "gpu") -> str:
        """Start one more node; returns its name."""
        return self.require("add", role)

    def kill(self, name: str) -> None:
        """SIGKILL a node and all its workers."""
        self.require("kill", name)

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """The living processes of a node, or of all nodes."""
        files = self.state.glob(f"{name or '*'}.pid")
        sessions = {int(file.read_text()) for file in files}
        return [process for process in psutil.process_iter() if _session(process) in sessions]


@contextmanager
def local_cluster(state: Path, nodes: int = 2, **settings: str) -> Iterator[LocalCluster]:
    """A running cluster: `head` (role=cpu), and `worker-1`, ..., the last of role=gpu."""
    cluster = LocalCluster(state, **settings)
    cluster.require("up", str(nodes))
    try:
        yield cluster
    finally:
        cluster.end_drivers()
        cluster.require("down")


def is_alive(process: psutil.Process) -> bool:
    return _session(process) is not None


def _session(process: psutil.Process) -> int | None:
    try:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return os.getsid(process.pid)
    except (psutil.Error, ProcessLookupError):
        return None
