"""A local Ray of which a process dies ends the command with one line, soon."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dfray.errors import LocalRayError, UserError
from dfray.local_ray import _EVERY_S, LocalRay, watched
from dfray.termination import interrupt_on_signals
from tests.helpers.cluster import REPOSITORY
from tests.helpers.commands import DFRAY, plain_environment
from tests.helpers.corpus import write_crowds
from tests.helpers.processes import title, wait_for
from tests.helpers.toy import TOY

TOLD_WITHIN_S = 20.0


@dataclass
class StandIn:
    """A local Ray of one process, `sleep`, and what became of it."""

    raylet: subprocess.Popen[bytes]
    is_used: bool = True
    shut_down_s: float = 0.0

    @property
    def watched(self) -> AbstractContextManager[None]:
        ray = LocalRay({"raylet": self.raylet}, lambda: self.is_used, self.shut_down)
        return watched(ray)

    def shut_down(self) -> None:
        """Shut down, and take as long as told."""
        time.sleep(self.shut_down_s)
        self.is_used = False

    def lose_raylet(self) -> None:
        """Kill the raylet."""
        self.raylet.kill()
        self.raylet.wait()


@pytest.fixture
def ray() -> Iterator[StandIn]:
    with subprocess.Popen(["sleep", "60"]) as raylet:
        yield StandIn(raylet)
        raylet.kill()


@pytest.mark.usefixtures("signals_restored")
def test_work_on_a_ray_whose_process_dies_is_interrupted_and_says_why(ray: StandIn) -> None:
    def work() -> None:
        with ray.watched:
            ray.lose_raylet()
            time.sleep(60)

    interrupt_on_signals()
    began = time.monotonic()
    with pytest.raises(LocalRayError, match="The raylet of the local Ray has died.*to resume"):
        work()
    assert time.monotonic() - began < 10
    assert not ray.is_used


def test_errors_of_the_work_on_a_living_ray_stay_what_they_are(ray: StandIn) -> None:
    with pytest.raises(UserError, match="mine"), ray.watched:
        raise UserError("mine")
    assert ray.is_used


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize("shut_down_s", [0, 2 * _EVERY_S])
def test_what_follows_from_a_death_is_told_as_the_death(ray: StandIn, shut_down_s: float) -> None:
    def work() -> None:
        with ray.watched:
            ray.lose_raylet()
            raise ConnectionError

    interrupt_on_signals()
    ray.shut_down_s = shut_down_s
    with pytest.raises(LocalRayError, match="The raylet"):
        work()


@pytest.mark.usefixtures("signals_restored")
def test_a_ray_that_this_process_shuts_down_has_not_died(ray: StandIn) -> None:
    interrupt_on_signals()
    with ray.watched:
        ray.shut_down()
        ray.lose_raylet()
        time.sleep(2 * _EVERY_S)
    assert not ray.is_used, "and nothing has interrupted the block"


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_process_that_ends_while_ray_starts_is_told_by_another(cut_off: bool) -> None:
    program = f"""
import os
from dfray.local_ray import told_if_cut_off
with told_if_cut_off():
    {"os._exit(1)" if cut_off else "pass"}
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, stderr=subprocess.PIPE)
    told = ran.stderr.decode()
    assert (
        told.startswith("dfray: failed: This process ended while the local Ray started") == cut_off
    )
    assert len(told.splitlines()) == cut_off


@pytest.mark.parametrize("begun", ["before", "while Ray starts"])
def test_a_process_of_a_ray_that_starts_ends_it_by_its_death(begun: str, tmp_path: Path) -> None:
    """And one of a Ray of before does not. The GCS is `sleep` under its name."""
    gcs = tmp_path / "gcs_server"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", gcs)
    program = f"""
import contextlib, subprocess, time
from dfray import local_ray
local_ray._EVERY_S, local_ray._TO_END_S = 0.1, 0.2
start = lambda: subprocess.Popen([{str(gcs)!r}, "60"])
gcs = start() if {begun == "before"} else None
with local_ray.told_if_cut_off():
    gcs = gcs or start()
    time.sleep(0.5)
    gcs.kill()
    time.sleep(2)
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, stderr=subprocess.PIPE)
    is_ended = begun != "before"
    assert ran.returncode == is_ended
    assert (b"ended while the local Ray started" in ran.stderr) == is_ended


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("after_s", [1, 3])
def test_a_gcs_that_dies_while_ray_starts_ends_the_command_soon(
    after_s: float, tmp_path: Path
) -> None:
    """Ray alone ends it after a minute."""
    write_crowds(tmp_path / "clips", 8, seconds=6)
    words = [f"work_dir={tmp_path}", f"corpora.0.root={tmp_path}/clips", "faces.size_px=64"]
    with (tmp_path / "err").open("w") as err:
        driver = subprocess.Popen(
            [DFRAY, "extract", TOY, *words], env=plain_environment(), stderr=err
        )

    def gcs() -> list[psutil.Process]:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [one for one in children if "gcs/gcs_server" in title(one).split(" ")[0]]

    wait_for(lambda: bool(gcs()), timeout_s=60)
    time.sleep(after_s)
    gcs()[0].kill()
    began = time.monotonic()
    assert driver.wait(90) == 1
    assert time.monotonic() - began < TOLD_WITHIN_S
    time.sleep(1)  # it is told by another process
    assert "ended while the local Ray started" in (tmp_path / "err").read_text()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("victim", ["gcs/gcs_server", "raylet/raylet"])
def test_an_extraction_without_them_ends_with_one_line_and_is_gone_on_with(
    victim: str, tmp_path: Path
) -> None:
    write_crowds(tmp_path / "clips", 8, seconds=6)
    words = [f"work_dir={tmp_path}", f"corpora.0.root={tmp_path}/clips", "faces.size_px=64"]
    command = [DFRAY, "extract", TOY, *words, "cluster.extract_workers=1"]
    with (tmp_path / "err").open("w") as err:
        driver = subprocess.Popen(command, env=plain_environment(), stderr=err)
    wait_for(lambda: any(tmp_path.glob("faces/*/videos/*.parquet")), timeout_s=240)
    (dies,) = [
        child
        for child in psutil.Process(driver.pid).children(recursive=True)
        if victim in title(child).split(" ")[0]
    ]
    dies.kill()
    began = time.monotonic()
    assert driver.wait(60) == 1
    assert time.monotonic() - began < TOLD_WITHIN_S
    last = (tmp_path / "err").read_text().strip().splitlines()[-1]
    assert last.startswith("dfray: failed: ")
    assert "of the local Ray has died" in last
    subprocess.run(command, env=plain_environment(), check=True)


@pytest.mark.slow
@pytest.mark.ray
def test_a_program_may_shut_down_the_ray_of_its_session(tmp_path: Path) -> None:
    program = """
import time
import dfray.local_ray
from dfray.config import ClusterSection
from dfray.session import session
dfray.local_ray._TO_END_S = 1
with session(ClusterSection()):
    import ray
    ray.shutdown()
    time.sleep(5)
print("alive")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=plain_environment() | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "alive\n", "")
